"""What did not come into the market: the quarantine, and gaps."""

from typing import ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.filters import FlagFilter, MomentFilter
from market import selectors
from market.core.plausibility import Reason
from market.models import MarketGap, QuarantinedQuote, QuarantineTotal

TAGS = ["market data"]
_REASONS = f"one of {', '.join(Reason)}"


class QuarantinedQuoteSerializer(serializers.ModelSerializer[QuarantinedQuote]):
    """`payload` has the numbers as the provider said them, as text: they need not be numbers."""

    reason = serializers.CharField(read_only=True, help_text=_REASONS)
    payload = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = QuarantinedQuote
        fields = ("id", "symbol", "reason", "detail", "at", "received_at", "provider", "payload")
        read_only_fields = fields


class QuarantineTotalSerializer(serializers.ModelSerializer[QuarantineTotal]):
    reason = serializers.CharField(read_only=True, help_text=_REASONS)
    total = serializers.IntegerField(read_only=True, help_text="since the installation began")

    class Meta:
        model = QuarantineTotal
        fields = ("reason", "total")
        read_only_fields = fields


QuarantineFilters = type(
    "QuarantineFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound `received_at`, in database time.",
        "symbol": filters.CharFilter(),
        "reason": filters.ChoiceFilter(choices=[(reason.value, reason.value) for reason in Reason]),
        "from": MomentFilter(field_name="received_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="received_at", lookup_expr="lt"),
    },
)


class Quarantine(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = QuarantinedQuote.objects.none()
    filterset_class = QuarantineFilters
    page_ordering = ("-received_at", "-id")

    @extend_schema(
        operation_id="getQuarantine",
        summary="List what was not believed",
        responses=QuarantinedQuoteSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Quotes and bars that the feed put aside in the last seven days, newest first.

        At most 100 of one reason a minute are kept; the totals count all. A symbol that is not known here is empty,
        and stands in the payload.
        """
        return self.page(selectors.quarantine(), QuarantinedQuoteSerializer)


class QuarantineTotals(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = QuarantineTotal.objects.none()
    page_ordering = ("reason",)

    @extend_schema(
        operation_id="getQuarantineTotals",
        summary="Count what was not believed",
        responses=QuarantineTotalSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """How many quotes and bars were ever put aside, for each reason that came up, duplicates included."""
        return self.page(QuarantineTotal.objects.all(), QuarantineTotalSerializer)


class GapSerializer(serializers.ModelSerializer[MarketGap]):
    symbol = serializers.CharField(source="instrument.symbol", read_only=True)

    class Meta:
        model = MarketGap
        fields = (
            "id",
            "symbol",
            "first_day",
            "last_day",
            "found_at",
            "filled_at",
            "tries",
            "next_try_at",
            "last_error",
        )
        read_only_fields = fields


class GapFilters(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    open = FlagFilter(field_name="filled_at", lookup_expr="isnull", label="not filled yet")


class Gaps(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = MarketGap.objects.none()
    filterset_class = GapFilters
    page_ordering = ("-found_at", "-id")

    @extend_schema(
        operation_id="getGaps",
        summary="List gaps",
        responses=GapSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Trading days without a bar, found last first, with how often the provider was asked for them."""
        return self.page(selectors.gaps(), GapSerializer)
