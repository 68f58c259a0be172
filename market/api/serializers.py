"""What the API shows and takes of the market. Prices are text; indicators are numbers, null while unknown."""

from typing import Any

from rest_framework import serializers

from foundation.api.base import StrictSerializer
from market.core.recommendation import CLASS_NAMES, RecommendationItem
from market.models import TAG_LENGTH_MAX, Bar, CalendarDay, Instrument, Quote, Recommendation
from market.services.instruments import TAGS_MAX
from market.services.recommendations import (
    EXTERNAL_ID_LENGTH_MAX,
    ITEMS_MAX,
    MODEL_VERSION_LENGTH_MAX,
)


def _price(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, **options)


class InstrumentSerializer(serializers.ModelSerializer[Instrument]):
    exchange = serializers.CharField(source="exchange_id", read_only=True, help_text="market identifier code")

    class Meta:
        model = Instrument
        fields = (
            "id",
            "symbol",
            "name",
            "exchange",
            "sector",
            "currency",
            "tick_size",
            "lot_size",
            "is_active",
            "tags",
        )
        read_only_fields = fields


class CalendarDaySerializer(serializers.ModelSerializer[CalendarDay]):
    """One session of an exchange."""

    exchange = serializers.CharField(source="exchange_id", read_only=True, help_text="market identifier code")
    timezone = serializers.CharField(source="exchange.timezone", read_only=True, help_text="IANA name")

    class Meta:
        model = CalendarDay
        fields = ("exchange", "timezone", "day", "opens_at", "closes_at")
        read_only_fields = fields


class TagsSerializer(StrictSerializer):
    tags = serializers.ListField(
        child=serializers.CharField(max_length=TAG_LENGTH_MAX),
        max_length=TAGS_MAX,
        help_text="all of them, in place of those before: small letters, digits, - and _",
    )


class QuoteSerializer(serializers.ModelSerializer[Quote]):
    symbol = serializers.CharField(source="instrument.symbol", read_only=True)

    class Meta:
        model = Quote
        fields = ("symbol", "bid", "ask", "last", "volume", "market_time", "received_at")
        read_only_fields = fields


class BarQuerySerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(max_length=20)
    interval = serializers.ChoiceField(choices=Bar.Interval.choices, default=Bar.Interval.DAY)


class SnapshotQuerySerializer(serializers.Serializer[Any]):
    symbols = serializers.CharField(
        required=False, allow_blank=True, help_text="comma-separated; left out: all"
    )


class BarSerializer(serializers.ModelSerializer[Bar]):
    class Meta:
        model = Bar
        fields = ("at", "open", "high", "low", "close", "volume")
        read_only_fields = fields


class AdviceSerializer(serializers.Serializer[Any]):
    """A source's newest advice, while it has not expired."""

    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    recommendation = serializers.ChoiceField(choices=CLASS_NAMES)
    confidence = serializers.FloatField(help_text="0..1")
    expected_return_percentage = serializers.FloatField(allow_null=True)
    as_of = serializers.DateTimeField()


class SnapshotSymbolSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    price = _price(allow_null=True)
    bid = _price(allow_null=True)
    ask = _price(allow_null=True)
    is_open = serializers.BooleanField(help_text="whether its exchange is open at `as_of`")
    market_time = serializers.DateTimeField(allow_null=True, help_text="of the quote")
    received_at = serializers.DateTimeField(allow_null=True, help_text="of the quote, database time")
    facts = serializers.DictField(
        child=serializers.FloatField(allow_null=True), help_text="the market fields that rules may ask for"
    )
    recommendations = AdviceSerializer(many=True)


class SnapshotSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    as_of = serializers.DateTimeField(help_text="market time")
    symbols = SnapshotSymbolSerializer(many=True)


class RecommendationSerializer(serializers.ModelSerializer[Recommendation]):
    source = serializers.CharField(source="source_id", read_only=True)  # type: ignore[assignment]
    symbol = serializers.CharField(source="instrument.symbol", read_only=True)

    class Meta:
        model = Recommendation
        fields = (
            "id",
            "source",
            "external_id",
            "symbol",
            "recommendation",
            "confidence",
            "expected_return_percentage",
            "target_price",
            "stop_price",
            "as_of",
            "expires_at",
            "model_version",
            "created_at",
        )
        read_only_fields = fields


class PushedRecommendationSerializer(StrictSerializer):
    external_id = serializers.CharField(
        max_length=EXTERNAL_ID_LENGTH_MAX, help_text="the source's own id: pushing it twice stores it once"
    )
    symbol = serializers.CharField(max_length=20)
    recommendation = serializers.CharField(max_length=20, help_text=f"one of {', '.join(CLASS_NAMES)}")
    confidence = serializers.FloatField(help_text="a probability, 0..1")
    expected_return_percentage = serializers.FloatField(required=False, allow_null=True)
    target_price = _price(required=False, allow_null=True)
    stop_price = _price(required=False, allow_null=True)
    as_of = serializers.DateTimeField(required=False, help_text="market time; left out: now")
    expires_at = serializers.DateTimeField(
        required=False, help_text="market time; left out: the close of the next session"
    )
    model_version = serializers.CharField(
        max_length=MODEL_VERSION_LENGTH_MAX, required=False, allow_blank=True
    )

    def to_internal_value(self, data: Any) -> RecommendationItem:
        return RecommendationItem(**super().to_internal_value(data))


class PushSerializer(StrictSerializer):
    source = serializers.CharField(max_length=50)  # type: ignore[assignment]
    recommendations = serializers.ListField(child=PushedRecommendationSerializer(), max_length=ITEMS_MAX)


class PushResultSerializer(serializers.Serializer[Any]):
    """Ids in the order of the items."""

    created = serializers.ListField(child=serializers.UUIDField())
    existing = serializers.ListField(
        child=serializers.UUIDField(), help_text="stored before, with the same content"
    )
