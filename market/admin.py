"""What the market room knows, read-only: the feed and the recommenders write it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from foundation.admin.base import LongListAdmin, ReadOnlyAdmin
from foundation.admin.presentation import badge
from market.models import (
    Bar,
    CalendarDay,
    Exchange,
    Instrument,
    Quote,
    Recommendation,
    RecommendationSource,
    Snapshot,
)

ADVICE_COLOURS = {
    "STRONG_BUY": "success",
    "BUY": "success",
    "HOLD": "info",
    "SELL": "warning",
    "STRONG_SELL": "danger",
}


@admin.register(Exchange)
class ExchangeAdmin(ReadOnlyAdmin):
    list_display = ("code", "name", "timezone")
    search_fields = ("code", "name")
    ordering = ("code",)


@admin.register(CalendarDay)
class CalendarDayAdmin(LongListAdmin):
    list_display = ("day", "exchange", "opens_at", "closes_at")
    list_select_related = ("exchange",)
    list_filter = ("exchange",)
    ordering = ("-day", "exchange")


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "name", "exchange", "sector", "currency", "tick_size", "lot_size", "is_active")
    list_select_related = ("exchange",)
    list_filter = ("is_active", "exchange", "sector")
    search_fields = ("symbol", "name")
    ordering = ("symbol",)


@admin.register(Bar)
class BarAdmin(LongListAdmin):
    list_display = ("at", "instrument", "interval", "open", "high", "low", "close", "volume")
    list_select_related = ("instrument",)
    list_filter = (("instrument", AutocompleteSelectFilter),)
    search_fields = ("instrument__symbol__exact",)
    search_help_text = "A symbol"
    ordering = ("-id",)


@admin.register(Quote)
class QuoteAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "bid", "ask", "last", "volume", "market_time", "received_at")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    ordering = ("instrument__symbol",)


@admin.register(Snapshot)
class SnapshotAdmin(LongListAdmin):
    """Without the payload: it is the whole market, compressed."""

    list_display = ("version", "as_of", "published_at")
    fields = ("version", "as_of", "published_at")
    ordering = ("-version",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        return super().get_queryset(request).defer("payload")


@admin.register(RecommendationSource)
class RecommendationSourceAdmin(ReadOnlyAdmin):
    list_display = ("name", "description", "pusher")
    list_select_related = ("pusher",)
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(Recommendation)
class RecommendationAdmin(LongListAdmin):
    list_display = (
        "as_of",
        "instrument",
        badge("recommendation", ADVICE_COLOURS),
        "sure",
        "expected_return_percentage",
        "source",
        "expires_at",
        "model_version",
    )
    list_display_links = ("instrument",)
    list_select_related = ("instrument", "source")
    list_filter = ("source", "recommendation", ("instrument", AutocompleteSelectFilter))
    search_fields = ("instrument__symbol__exact", "external_id__exact")
    search_help_text = "A symbol, or the source's own id"
    ordering = ("-as_of",)

    @display(description="confidence", ordering="confidence")
    def sure(self, row: Any) -> str:
        return f"{row.confidence:.2f}"
