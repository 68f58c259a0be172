"""What the API shows of trades, decisions, halts and performance. Money and quantities are text."""

import uuid
from typing import Any

from rest_framework import serializers

from foundation.api.base import StrictSerializer
from journal.api.serializers import EventSerializer
from market.api.serializers import RecommendationSerializer
from rules.api.serializers import RuleVersionSerializer
from sessions.api.serializers import SessionSerializer
from trading.models import AutoTrade, BrokerMessage, Decision, Execution, Halt
from trading.services.emergency_stop import objection_to_release
from trading.services.settling import ENDS, EXPLANATION_CHARACTERS_MAX

JSON = serializers.DictField


class TradeSerializer(serializers.ModelSerializer[AutoTrade]):
    """`trigger_price` is what it was decided on, `executed_price` the mean of its fills.

    The percentages `stop_loss_…`, `take_profit_…` and `trailing_stop_…` are how the position is protected from the
    first fill of a buy on; null: not so. `trail_percentage` is the order's own. `cancel_requested_at`: somebody wants
    it cancelled; until `status` says that it is, it may still be filled.
    """

    rule_name = serializers.CharField(source="rule.name", default=None, allow_null=True, read_only=True)

    class Meta:
        model = AutoTrade
        fields = (
            "id",
            "portfolio_id",
            "session_id",
            "rule_id",
            "rule_name",
            "recommendation_id",
            "decision_id",
            "origin",
            "symbol",
            "trade_type",
            "order_type",
            "time_in_force",
            "limit_price",
            "stop_price",
            "trail_percentage",
            "expires_at",
            "quantity",
            "trigger_price",
            "executed_price",
            "filled_quantity",
            "fees",
            "realised_pnl",
            "stop_loss_percentage",
            "take_profit_percentage",
            "trailing_stop_percentage",
            "status",
            "status_reason",
            "cancel_requested_at",
            "cancel_reason",
            "client_order_id",
            "broker_order_id",
            "market_at",
            "executed_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    class Meta:
        model = Execution
        fields = (
            "execution_id",
            "quantity",
            "price",
            "fee",
            "realised_pnl",
            "reversed_at",
            "reversal_pnl",
            "market_at",
            "created_at",
        )
        read_only_fields = fields


class BrokerMessageSerializer(serializers.ModelSerializer[BrokerMessage]):
    """One exchange of words with the broker about an order: what was asked, and how it answered."""

    class Meta:
        model = BrokerMessage
        fields = ("kind", "attempt", "outcome", "detail", "sent_at", "answered_at")
        read_only_fields = fields


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """What became of a rule that triggered; `repeated` counts the equal decisions that followed.

    `detail` and its reasons are those of the last of them (`last_slot`); since when it is so tell `slot` and
    `market_at`.

    `traded`, `alerted`, `halted` (it armed an emergency stop, and repeats while that is in force), `blocking` (it
    let no rule buy); or it did not act: `refused` by a control, with its `code`, `outranked` by a rule that won or
    blocked it, `no_size`, `resting` by its cooldown, `lapsed` on fresh facts.
    """

    rule_name = serializers.CharField(source="rule.name", default=None, allow_null=True, read_only=True)
    rule_version = serializers.IntegerField(
        source="rule_version.version", default=None, allow_null=True, read_only=True
    )
    symbol = serializers.CharField(source="instrument.symbol", default=None, allow_null=True, read_only=True)
    trade_id = serializers.UUIDField(
        source="trade.id",
        default=None,
        allow_null=True,
        read_only=True,
        help_text="the trade that came of it",
    )

    class Meta:
        model = Decision
        fields = (
            "id",
            "portfolio_id",
            "session_id",
            "rule_id",
            "rule_name",
            "rule_version",
            "symbol",
            "outcome",
            "code",
            "detail",
            "trade_id",
            "slot",
            "market_at",
            "repeated",
            "last_slot",
            "last_market_at",
            "created_at",
        )
        read_only_fields = fields


class DecisionDetailsSerializer(serializers.Serializer[Any]):
    """Why: each condition's fact and threshold, the size's arithmetic, each control's value and limit."""

    decision = DecisionSerializer()
    rule_version = RuleVersionSerializer(allow_null=True)
    explanation = JSON()
    sizing = JSON()
    checks = serializers.ListField(child=serializers.DictField())
    outranked_by = JSON(allow_null=True, help_text="the rule that won or blocked it, and why")
    trade_id = serializers.UUIDField(allow_null=True)


class TradeDetailsSerializer(serializers.Serializer[Any]):
    """The whole story of a trade."""

    trade = TradeSerializer()
    rule_version = RuleVersionSerializer(allow_null=True, help_text="what the rule said when it was decided")
    decision = DecisionSerializer()
    explanation = JSON(help_text="each condition with its fact, threshold and outcome")
    sizing = JSON(help_text="the arithmetic of the size")
    checks = serializers.ListField(
        child=serializers.DictField(), help_text="each risk control with its value and limit"
    )
    executions = ExecutionSerializer(many=True)
    messages = BrokerMessageSerializer(
        many=True, help_text="what was said with the broker about it, oldest first; the paper market has none"
    )
    recommendation = RecommendationSerializer(allow_null=True)
    events = EventSerializer(many=True, help_text="of the journal, oldest first")


def _money(help_text: str, **more: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, help_text=help_text, **more)


def _ratio(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=4, allow_null=True, help_text=help_text)


class PerformanceSerializer(serializers.Serializer[Any]):
    """Money in the portfolio's currency. Percent where a name ends in `percentage`. Null: not known, or nothing to
    measure yet."""

    total_trades = serializers.IntegerField(help_text="with at least one fill")
    successful_trades = serializers.IntegerField(help_text="sells that realised a profit after fees")
    realised_pnl = _money("after fees")
    unrealised_pnl = _money(
        "how much what the portfolio holds has gained since the session began, and has not realised; null while a "
        "price is unknown",
        allow_null=True,
    )
    fees = _money("of its fills")
    win_rate = serializers.DecimalField(
        max_digits=5, decimal_places=4, allow_null=True, help_text="0..1; null before the first sell"
    )
    profit_factor = _ratio("gains over losses; null without a loss")
    return_percentage = _ratio("time-weighted: deposits and withdrawals are no profit")
    max_drawdown_percentage = _ratio("the deepest fall from a peak, in percent of the peak")
    sharpe_ratio = _ratio(
        "of daily returns, annualised by √252, without a risk-free rate; null below 20 days"
    )
    mean_exposure_percentage = _ratio("what was invested, in percent of equity, over its points")
    max_exposure_percentage = _ratio("the most that was invested at one of its points")
    slippage = _money("what it cost (positive) or gained to be filled at other prices than those decided on")
    slippage_bps = _ratio("of the value at those prices; null without a fill")
    measured_from = serializers.DateTimeField(
        allow_null=True, help_text="market time at which its equity was known first"
    )
    measured_to = serializers.DateTimeField(allow_null=True, help_text="and last")


class SessionStatusSerializer(serializers.Serializer[Any]):
    session = SessionSerializer()
    performance = PerformanceSerializer()


class HaltSerializer(serializers.ModelSerializer[Halt]):
    """Armed when you see it; drained when nothing in its scope is in flight any more.

    `armed_by` is a person, `armed_by_rule_id` the rule whose action it was, `armed_by_breaker` the circuit breaker
    that tripped, with the `numbers` that it measured; none of them for the command line.
    `portfolio_id` is the portfolio that its scope lies in, null for the platform and for symbols.
    """

    armed_by_rule_name = serializers.CharField(
        source="armed_by_rule.name", default=None, allow_null=True, read_only=True
    )
    armed_by_breaker = serializers.CharField(read_only=True, help_text="empty: no breaker's")
    episode = serializers.CharField(
        read_only=True, help_text="what the breaker tripped for, which it does once"
    )
    numbers = JSON(read_only=True, help_text="what the breaker measured, and its limit")
    portfolio_id = serializers.UUIDField(allow_null=True, read_only=True)
    may_release = serializers.SerializerMethodField(help_text="whether you may, now")
    armed_by = serializers.CharField(
        source="armed_by.username", default=None, allow_null=True, read_only=True
    )
    released_by = serializers.CharField(
        source="released_by.username", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = Halt
        fields = (
            "id",
            "scope",
            "scope_id",
            "mode",
            "reason",
            "armed_by",
            "armed_by_rule_id",
            "armed_by_rule_name",
            "armed_by_breaker",
            "episode",
            "numbers",
            "portfolio_id",
            "armed_at",
            "drained_at",
            "released_by",
            "released_at",
            "may_release",
        )
        read_only_fields = fields

    def get_may_release(self, halt: Halt) -> bool:
        """`halt` as of `selectors.shown_halts`."""
        role: str | None = halt.role  # type: ignore[attr-defined]
        breaks: int = halt.open_breaks  # type: ignore[attr-defined]
        return objection_to_release(halt, self.context["user"], role=role, open_breaks=breaks) is None


class SettleSerializer(StrictSerializer):
    state = serializers.ChoiceField(choices=[state.value for state in ENDS], help_text="how it ended there")
    explanation = serializers.CharField(
        max_length=EXPLANATION_CHARACTERS_MAX, help_text="what the broker says of it; stands in the journal"
    )


class NewHaltSerializer(StrictSerializer):
    scope = serializers.ChoiceField(choices=Halt.Scope.choices)
    scope_id = serializers.CharField(
        max_length=64,
        default="",
        allow_blank=True,
        help_text="UUID, or the symbol; empty for the platform",
    )
    mode = serializers.ChoiceField(choices=Halt.Mode.choices, default=Halt.Mode.HALT)
    reason = serializers.CharField(max_length=255)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A UUID is halted by its one spelling: orders are compared with it as text."""
        if attrs["scope"] not in (Halt.Scope.PLATFORM, Halt.Scope.SYMBOL):
            try:
                attrs["scope_id"] = str(uuid.UUID(attrs["scope_id"]))
            except ValueError as error:
                raise serializers.ValidationError({"scope_id": "Must be a UUID in this scope."}) from error
        return attrs
