"""What a rule would do now."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from portfolios.api.access import owned
from portfolios.core.access import Action
from rules.api.serializers import RuleBodySerializer
from rules.core.description import describe
from rules.models import RuleType
from rules.selectors import visible_rules
from trading.models import AutoTrade, Decision
from trading.services.previewing import SYMBOLS_MAX, Preview, preview_rule

_EXAMPLES = [
    OpenApiExample("As it is stored", value={"symbols": ["AAPL", "MSFT"]}, request_only=True),
    OpenApiExample(
        "With another threshold",
        value={
            "rule": {
                "name": "Stop Loss Protection",
                "type": "exit",
                "conditions": [{"field": "position_pnl_percentage", "operator": "less_than", "value": -3}],
                "actions": [{"type": "sell", "sizing_method": "full_position"}],
            }
        },
        request_only=True,
    ),
]


@extend_schema_field(RuleBodySerializer)
class RuleContentField(serializers.JSONField):
    """A rule as it is written; the language judges it, and tells every fault with its path."""


class PreviewedRuleSerializer(StrictSerializer):
    """`rule` and `version` exclude each other; without both it is what the rule says now."""

    symbols = serializers.ListField(
        child=serializers.CharField(max_length=32),
        max_length=SYMBOLS_MAX,
        default=list,
        help_text="those to explain; empty: those for which it is true, then what is held, then others",
    )
    rule = RuleContentField(default=None, help_text="what it would say, instead of what is stored")
    version = serializers.IntegerField(
        default=None, allow_null=True, min_value=1, max_value=2**31 - 1,
        help_text="another of its versions, as one that waits for approval",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["rule"] is not None and attrs["version"] is not None:
            raise serializers.ValidationError({"version": "Leave it out, or leave `rule` out."})
        return attrs


class PreviewedOrderSerializer(serializers.ModelSerializer[AutoTrade]):
    """The order that would go out, with how its position would be protected."""

    class Meta:
        model = AutoTrade
        fields = (
            "symbol",
            "trade_type",
            "quantity",
            "trigger_price",
            "order_type",
            "time_in_force",
            "limit_price",
            "stop_price",
            "trail_percentage",
            "stop_loss_percentage",
            "take_profit_percentage",
            "trailing_stop_percentage",
        )
        read_only_fields = fields


class WouldSerializer(serializers.Serializer[Any]):
    """The decision that would be recorded."""

    symbol = serializers.CharField(allow_null=True, help_text="null: the portfolio as a whole")
    outcome = serializers.ChoiceField(choices=Decision.Outcome.choices)
    code = serializers.CharField(allow_blank=True, help_text="refusal code, if a control would say no")
    detail = serializers.CharField(allow_blank=True, help_text="one sentence")
    sizing = serializers.DictField(help_text="the arithmetic of the size")
    checks = serializers.ListField(
        child=serializers.DictField(), help_text="each risk control with its value and limit"
    )
    outranked_by = serializers.DictField(allow_null=True, help_text="the rule that would win or block it")
    order = PreviewedOrderSerializer(allow_null=True)


class PreviewedSymbolSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(allow_null=True, help_text="null: the portfolio as a whole")
    outcome = serializers.BooleanField(
        source="explanation.outcome", allow_null=True, help_text="null: a fact that it needs is unknown"
    )
    sentence = serializers.CharField(source="explanation.sentence", help_text="why, in plain English")
    explanation = serializers.DictField(help_text="each condition with its fact, threshold and outcome")
    would = WouldSerializer(many=True, help_text="empty where the rule is not true")


class ObstacleSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(
        help_text="`no_session`, `session_stopping`, `session_paused`, `not_stored`, `not_in_force`"
    )
    detail = serializers.CharField()


class RulePreviewSerializer(serializers.Serializer[Any]):
    """`carried_out` says whether the next evaluation of this market would really do it; else `obstacles` say why."""

    snapshot_version = serializers.IntegerField()
    as_of = serializers.DateTimeField(help_text="market time of what it was told from")
    session_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(
        allow_null=True, help_text="of the rule; null: content that is not stored"
    )
    rule_type = serializers.ChoiceField(choices=RuleType.choices)
    description = serializers.CharField(help_text="what it says, in plain English")
    carried_out = serializers.BooleanField()
    obstacles = ObstacleSerializer(many=True)
    true_for = serializers.IntegerField(help_text="number of symbols for which it is true")
    left_out = serializers.IntegerField(help_text="so many of these are not among `symbols`")
    symbols = PreviewedSymbolSerializer(many=True)


class PreviewRule(ApiView):
    actions: ClassVar[Actions] = {"post": Action.VIEW}
    problems: ClassVar[Problems] = {
        "403": None,
        "409": None,
        "422": "The idempotency key was used for another request, or (`too_many_triggered`) the rule is true for more "
        "symbols than an evaluation accepts.",
    }

    @extend_schema(
        operation_id="previewRule",
        summary="What would a rule do now?",
        request=PreviewedRuleSerializer,
        responses=RulePreviewSerializer,
        examples=_EXAMPLES,
        tags=["rules"],
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Evaluate the rule on the present snapshot as if it were in force, beside all others that are, and write
        nothing: each symbol explained condition by condition, and where the rule is true what it would come to — the
        order with its size and risk checks, or what it would lose against. The answer to `would` is exactly what the
        next evaluation of the same market and portfolio does. For every member.
        """
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        body = self.body(PreviewedRuleSerializer)
        seen = preview_rule(
            rule_id=rule.pk, content=body["rule"], version=body["version"], symbols=body["symbols"]
        )
        return Response(RulePreviewSerializer(_shown(seen)).data)


def _shown(seen: Preview) -> dict[str, Any]:
    return {
        "snapshot_version": seen.snapshot.version,
        "as_of": seen.snapshot.as_of,
        "session_id": seen.session.id if seen.session is not None else None,
        "version": seen.stored_version,
        "rule_type": seen.version.rule_type,
        "description": describe(seen.version.content()),
        "carried_out": not seen.obstacles,
        "obstacles": seen.obstacles,
        "true_for": seen.true_for,
        "left_out": seen.left_out,
        "symbols": seen.symbols,
    }
