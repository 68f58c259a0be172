"""What the API shows and takes of portfolios. Money is text."""

from typing import Any

from rest_framework import serializers

from foundation.api.base import StrictSerializer
from foundation.errors import InvalidInput
from portfolios.api.valuation import worth_of
from portfolios.approval import Approval
from portfolios.core.limits import LIMIT_NAMES, SCOPES
from portfolios.models import ROLES, BrokerAccount, LedgerTransfer, Member, Portfolio, Position

_ACCOUNTS = f"one of {', '.join(LedgerTransfer.Account.values)}"


def _money(help_text: str = "", **options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, help_text=help_text, **options)


class MembershipSerializer(serializers.ModelSerializer[Member]):
    id = serializers.UUIDField(source="portfolio_id", read_only=True)
    name = serializers.CharField(source="portfolio.name", read_only=True)

    class Meta:
        model = Member
        fields = ("id", "name", "role")
        read_only_fields = fields


class MeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    username = serializers.CharField()
    is_staff = serializers.BooleanField()
    portfolios = MembershipSerializer(many=True)


class PortfolioSerializer(serializers.ModelSerializer[Portfolio]):
    """`role` is yours in it; `available_cash` is what no working order has reserved."""

    four_eyes = serializers.BooleanField(
        source="needs_four_eyes",
        read_only=True,
        help_text="whether changes of rules and limits wait for a second person's approval; always with a live account",
    )
    role = serializers.ChoiceField(choices=ROLES, read_only=True)
    available_cash = _money(read_only=True)

    class Meta:
        model = Portfolio
        fields = (
            "id",
            "name",
            "base_currency",
            "cash",
            "reserved_cash",
            "available_cash",
            "realised_pnl",
            "four_eyes",
            "role",
            "created_at",
        )
        read_only_fields = fields


class BrokerAccountSerializer(serializers.ModelSerializer[BrokerAccount]):
    class Meta:
        model = BrokerAccount
        fields = ("id", "broker", "is_live", "fee_bps", "fee_minimum", "slippage_bps")
        read_only_fields = fields


class ValuationSerializer(serializers.Serializer[Any]):
    """At the prices of one snapshot; null where the price of something held is unknown, or a split of it is not booked
    yet."""

    snapshot_version = serializers.IntegerField(allow_null=True)
    as_of = serializers.DateTimeField(allow_null=True, help_text="market time")
    market_value = _money("of what is held", allow_null=True)
    unrealised_pnl = _money(allow_null=True)
    equity = _money("cash and market value", allow_null=True)


class PortfolioDetailsSerializer(serializers.Serializer[Any]):
    portfolio = PortfolioSerializer()
    account = BrokerAccountSerializer(allow_null=True)
    valuation = ValuationSerializer()


class NewPortfolioSerializer(StrictSerializer):
    name = serializers.CharField(max_length=255)
    base_currency = serializers.RegexField(
        r"\A[A-Z]{3}\Z", default="USD", help_text="ISO 4217; it buys what is priced in it"
    )


class AmountSerializer(StrictSerializer):
    amount = serializers.DecimalField(max_digits=20, decimal_places=8, help_text="positive, in whole cents")
    memo = serializers.CharField(max_length=255, default="", allow_blank=True)


class PositionSerializer(serializers.ModelSerializer[Position]):
    """Valued at the current snapshot; `price`, `market_value`, `unrealised_pnl` are null while unknown, and from the
    last close before a split until it is booked."""

    symbol = serializers.CharField(source="instrument.symbol", read_only=True)
    price = _money(read_only=True, allow_null=True)
    market_value = _money(read_only=True, allow_null=True)
    unrealised_pnl = _money(read_only=True, allow_null=True)

    class Meta:
        model = Position
        fields = (
            "symbol",
            "quantity",
            "reserved_quantity",
            "cost",
            "average_cost",
            "price",
            "market_value",
            "unrealised_pnl",
            "realised_pnl",
            "opened_at",
        )
        read_only_fields = fields

    def to_representation(self, instance: Position) -> dict[str, Any]:
        worth = worth_of(instance, self.context["snapshot"], unsettled=self.context["unsettled"])
        for name in ("price", "market_value", "unrealised_pnl"):
            setattr(instance, name, getattr(worth, name))
        shown: dict[str, Any] = super().to_representation(instance)
        return shown


class LedgerTransferSerializer(serializers.ModelSerializer[LedgerTransfer]):
    """`amount` of `asset` from the credited to the debited account; one business event shares `entry_id`."""

    trade_id = serializers.UUIDField(source="owner_id", read_only=True, allow_null=True)
    reverses = serializers.IntegerField(
        source="reverses_id",
        read_only=True,
        allow_null=True,
        help_text="the transfer that this one takes back",
    )
    debit_account = serializers.CharField(read_only=True, help_text=_ACCOUNTS)
    credit_account = serializers.CharField(read_only=True, help_text=_ACCOUNTS)

    class Meta:
        model = LedgerTransfer
        fields = (
            "id",
            "entry_id",
            "kind",
            "debit_account",
            "credit_account",
            "asset",
            "amount",
            "trade_id",
            "execution_id",
            "reverses",
            "memo",
            "market_at",
            "created_at",
        )
        read_only_fields = fields


class LimitValuesSerializer(StrictSerializer):
    """Every limit; null says that this scope does not set it."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            name: _money(meaning, required=False, allow_null=True) for name, meaning in LIMIT_NAMES.items()
        }


class FourEyesSerializer(StrictSerializer):
    enabled = serializers.BooleanField()


class LimitVersionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="by which it is approved or rejected")
    scope = serializers.CharField(help_text=f"one of {', '.join(SCOPES)}")
    version = serializers.IntegerField()
    values = LimitValuesSerializer()
    approval = serializers.ChoiceField(choices=Approval.choices)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True, help_text="the second person")


class LimitsSerializer(serializers.Serializer[Any]):
    """What platform, broker account and portfolio set, and the tightest of them. No limit set means no trade."""

    platform = LimitVersionSerializer(allow_null=True)
    account = LimitVersionSerializer(allow_null=True)
    portfolio = LimitVersionSerializer(allow_null=True)
    pending = LimitVersionSerializer(
        allow_null=True, help_text="the portfolio's next version, which waits for a second person's approval"
    )
    account_pending = LimitVersionSerializer(allow_null=True, help_text="the account's, likewise")
    platform_pending = LimitVersionSerializer(
        allow_null=True, help_text="the platform's, which waits for staff"
    )
    effective = LimitValuesSerializer()
    versions = serializers.CharField(help_text="of which the effective ones are made, as orders name them")


def all_limits(body: dict[str, Any]) -> dict[str, Any]:
    """A whole new version: what the body leaves out is no longer set. Refuses an empty one."""
    if not body:
        raise InvalidInput("Give at least one limit; without any, nothing could be traded.")
    return {name: body.get(name) for name in LIMIT_NAMES}
