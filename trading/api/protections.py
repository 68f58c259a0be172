"""Stop losses, trailing stops and targets of open positions over REST."""

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.clock import database_now
from foundation.core.money import round_money
from market.services import snapshots
from portfolios.core.access import Action
from portfolios.selectors import unsettled_splits, visible_portfolio
from trading.core.market_facts import fresh_prices
from trading.core.protections import Kind, peak_of, threshold_of
from trading.models import Protection
from trading.models.columns import STOP_LOSS, TAKE_PROFIT, TRAILING_STOP
from trading.selectors import shown_protections
from trading.services.protections import percentages_of, remove_protection, set_protection

TAGS = ["protections"]


def _number(help_text: str, **options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, help_text=help_text, **options)


class ThresholdSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[(kind.value, kind.words) for kind in Kind])
    percentage = _number("of the reference")
    reference_price = _number("the average cost, or for a trailing stop the highest price since the opening")
    price = _number("the position is sold there; the price itself belongs to it")
    distance_percentage = _number(
        "how far the price has to go, in percent of it; 0 and below: reached; null while it is unknown",
        allow_null=True,
    )


class ProtectionSerializer(serializers.ModelSerializer[Protection]):
    """How a position is protected, and where that is now. `refusal` is the control that keeps a position from
    being sold whose price is reached; it is tried again on each tick. BROKER_REJECTED: the broker has rejected the last
    sale, and it is tried again after a while."""

    symbol = serializers.CharField(read_only=True)
    quantity = _number("held", read_only=True)
    average_cost = _number("of the position", read_only=True)
    price = _number("the last one; null while it is unknown or stale", allow_null=True, read_only=True)
    thresholds = ThresholdSerializer(
        many=True, read_only=True, help_text="in the order in which they are asked"
    )

    class Meta:
        model = Protection
        fields = (
            "id",
            "portfolio_id",
            "symbol",
            "stop_loss_percentage",
            "take_profit_percentage",
            "trailing_stop_percentage",
            "quantity",
            "average_cost",
            "price",
            "thresholds",
            "refusal",
            "actor",
            "trade_id",
            "opened_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """`instance` as of `selectors.shown_protections`; the context has the fresh prices by instrument."""
        price: Decimal | None = self.context["prices"].get(instance.instrument_id)
        instance.price = price
        instance.thresholds = _thresholds(instance, price)
        shown: dict[str, Any] = super().to_representation(instance)
        return shown


def _thresholds(row: Any, price: Decimal | None) -> list[dict[str, Any]]:
    peak = peak_of(row.noted_peak, price)
    found = (
        threshold_of(kind, percentages_of(row), average_cost=row.average_cost, peak=peak) for kind in Kind
    )
    return [
        {
            "kind": threshold.kind.value,
            "percentage": threshold.percentage,
            "reference_price": threshold.reference,
            "price": round_money(threshold.price),
            "distance_percentage": None if price is None else round_money(threshold.distance(price)),
        }
        for threshold in found
        if threshold is not None
    ]


class ProtectSerializer(StrictSerializer):
    """At least one; what is left out, or null, is no longer protected so."""

    stop_loss_percentage = _number(f"{STOP_LOSS}; above 0, below 100", required=False, allow_null=True)
    take_profit_percentage = _number(f"{TAKE_PROFIT}; above 0, up to 1000", required=False, allow_null=True)
    trailing_stop_percentage = _number(
        f"{TRAILING_STOP}; above 0, below 100", required=False, allow_null=True
    )


def _prices(portfolio_id: UUID) -> dict[int, Decimal]:
    """As who watches the protections knows them: not of what a split is not booked for."""
    in_other_units = {instrument_id for _, instrument_id in unsettled_splits([portfolio_id])}
    snapshot = snapshots.current()
    known = {} if snapshot is None else fresh_prices(snapshot, now_epoch=database_now().timestamp())
    return {key: price for key, price in known.items() if key not in in_other_units}


class Protections(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Protection.objects.none()
    page_ordering = ("symbol", "id")

    @extend_schema(
        operation_id="getProtections",
        summary="List protections of positions",
        responses=ProtectionSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Every protected position, by symbol, with the prices at which it is sold and how far they are."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(
            shown_protections(portfolio_id), ProtectionSerializer, {"prices": _prices(portfolio_id)}
        )


class OneProtection(ApiView):
    actions: ClassVar[Actions] = {"put": Action.PROTECT, "delete": Action.PROTECT}

    @extend_schema(
        operation_id="setProtection",
        summary="Protect an open position",
        request=ProtectSerializer,
        responses=ProtectionSerializer,
        examples=[
            OpenApiExample(
                "A stop loss and a trailing stop",
                value={"stop_loss_percentage": "8", "trailing_stop_percentage": "5"},
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID, symbol: str) -> Response:
        """In this way and no other: what is left out is no longer protected so. 409 when nothing is held.

        It works at once, with or without a session: a threshold that is reached already sells on the next tick.
        For traders, risk officers and owners.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        body = self.body(ProtectSerializer)
        made = set_protection(portfolio_id=portfolio_id, symbol=symbol, actor=self.actor, **body)
        row = shown_protections(portfolio_id).get(pk=made.pk)
        return Response(ProtectionSerializer(row, context={"prices": _prices(portfolio_id)}).data)

    @extend_schema(
        operation_id="removeProtection",
        summary="Remove a position's protection",
        request=None,
        responses={204: None},
        tags=TAGS,
    )
    def delete(self, request: Request, portfolio_id: UUID, symbol: str) -> Response:
        """The position is kept, unprotected. For traders, risk officers and owners, as setting it is."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        remove_protection(portfolio_id=portfolio_id, symbol=symbol, actor=self.actor)
        return Response(status=204)
