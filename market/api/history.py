"""Taking in the past over REST: bars and instruments. For staff, for every portfolio's rules look at them."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import StrictSerializer
from foundation.api.schema import Problems
from market.api import serializers as shapes
from market.api import views
from market.core.adjustment import DayBar
from market.services.history import ROWS_MAX, import_all
from market.services.instruments import LOT_SIZE, TICK_SIZE, add_instrument

_BARS_EXAMPLE = {
    "bars": [
        {
            "symbol": "IBM", "day": "2004-01-05", "open": "91.1", "high": "92.5", "low": "90.8", "close": "92",
            "volume": "6190000",
        }
    ]
}  # fmt: skip


def _price(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, **options)


class NewBarSerializer(StrictSerializer):
    symbol = serializers.CharField(max_length=20)
    day = serializers.DateField(help_text="the trading day, at the exchange")
    open, high, low, close = (_price() for _ in range(4))
    volume = serializers.DecimalField(max_digits=20, decimal_places=4)

    def to_internal_value(self, data: Any) -> DayBar:
        return DayBar(**super().to_internal_value(data))


class ImportSerializer(StrictSerializer):
    bars = serializers.ListField(child=NewBarSerializer(), max_length=ROWS_MAX)
    adjusted_through = serializers.DateField(
        required=False,
        help_text="splits and dividends until the end of this day are in the prices; left out: they are as traded",
    )


class ImportResultSerializer(serializers.Serializer[Any]):
    stored = serializers.IntegerField()
    same = serializers.IntegerField(help_text="stored before, with the same numbers")


class NewInstrumentSerializer(StrictSerializer):
    symbol = serializers.CharField(max_length=20)
    exchange = serializers.CharField(max_length=8, help_text="a code that is known here, like XNYS or 24/7")
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    sector = serializers.CharField(max_length=100, required=False, allow_blank=True)
    currency = serializers.CharField(max_length=3, required=False, help_text="left out: USD")
    tick_size = _price(required=False, help_text=f"left out: {TICK_SIZE}")
    lot_size = _price(required=False, help_text=f"left out: {LOT_SIZE}")


class Bars(views.Bars):
    actions: ClassVar[Actions] = {"get": "see_market", "post": "keep_market"}

    @extend_schema(
        operation_id="importBars",
        summary="Import bars of the past",
        request=ImportSerializer,
        responses={201: ImportResultSerializer},
        examples=[OpenApiExample("One", value=_BARS_EXAMPLE, request_only=True)],
        tags=["market data"],
    )
    def post(self, request: Request) -> Response:
        """Store daily bars, at most 5,000, all or nothing; those that are stored already change nothing. For staff.

        A bar belongs to a trading day that has closed in market time: the future enters by the feed. A day that has a
        bar with other numbers is a conflict (409), for bars are never rewritten.
        """
        body = self.body(ImportSerializer)
        result = import_all(
            body["bars"], actor=self.actor, source="api", adjusted_through=body.get("adjusted_through")
        )
        return Response(ImportResultSerializer(result).data, status=201)


class Instruments(views.Instruments):
    actions: ClassVar[Actions] = {"get": "see_market", "post": "keep_market"}
    problems: ClassVar[Problems] = {}

    @extend_schema(
        operation_id="addInstrument",
        summary="Add an instrument",
        request=NewInstrumentSerializer,
        responses={200: shapes.InstrumentSerializer, 201: shapes.InstrumentSerializer},
        tags=["market data"],
    )
    def post(self, request: Request) -> Response:
        """Make a symbol known; the feed carries it at once. For staff.

        200 when it is known with the same facts, 409 when with others.
        """
        instrument, is_new = add_instrument(actor=self.actor, **self.body(NewInstrumentSerializer))
        return Response(shapes.InstrumentSerializer(instrument).data, status=201 if is_new else 200)
