"""What the market room knows, read-only: the feed and the recommenders write it.

Corporate actions are recorded and tags are set here, and nothing else.
"""

from datetime import UTC
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from foundation.admin.base import LongListAdmin, ReadOnlyAdmin, ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import EMPTY, badge, presented
from market.models import (
    Bar,
    CalendarDay,
    CorporateAction,
    Exchange,
    Instrument,
    MarketGap,
    QuarantinedQuote,
    QuarantineTotal,
    Quote,
    Recommendation,
    RecommendationOutcome,
    RecommendationPull,
    RecommendationSource,
    RecommenderModel,
    Snapshot,
)
from market.scores import calibration, first_day, waiting
from market.selectors import market_now
from market.services.corporate_actions import NewCorporateAction, record
from market.services.instruments import set_tags

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


class TagsForm(BaseDialogForm):
    tags = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Separated by spaces or commas: small letters, digits, - and _.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = Instrument.objects.filter(pk=self.object_id).first()
        self.initial = {"tags": ", ".join(row.tags)} if row is not None else {}


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    """Read-only but for its tags, which are staff's."""

    list_display = (
        "symbol", "name", "exchange", "sector", "currency", "tick_size", "lot_size", "is_active", "tagged",
    )  # fmt: skip
    list_select_related = ("exchange",)
    list_filter = ("is_active", "exchange", "sector")
    search_fields = ("symbol", "name", "tags")
    ordering = ("symbol",)
    hidden = ("tags",)
    actions_detail = ("tag",)

    def shown_fields(self) -> list[Any]:
        return [*super().shown_fields(), "tagged"]

    @display(description="tags")
    def tagged(self, row: Any) -> str:
        return ", ".join(row.tags) or EMPTY

    @action(
        description="Tags", permissions=["operate"], icon="sell",
        dialog={
            "title": "Set tags", "form_class": TagsForm, "form_submit_text": "Set tags",
            "description": "In place of those before. Sessions whose universe names a tag trade by it at once.",
        },
    )  # fmt: skip
    def tag(self, request: HttpRequest, form: TagsForm, object_id: str) -> HttpResponse:
        row = self.existing(request, object_id)
        tags = form.cleaned_data["tags"].replace(",", " ").split()

        def service() -> Instrument:
            return set_tags(symbol=row.symbol, tags=tags, actor=actor_of(request))

        return self.run_dialog(request, object_id, service, action="keep_market", done="The tags are set.")


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


@admin.register(QuarantinedQuote)
class QuarantinedQuoteAdmin(LongListAdmin):
    list_display = ("received_at", "symbol", "reason", "detail", "provider", "at")
    list_filter = ("reason", "provider")
    search_fields = ("symbol__exact",)
    search_help_text = "A symbol"
    ordering = ("-received_at", "-id")


@admin.register(QuarantineTotal)
class QuarantineTotalAdmin(ReadOnlyAdmin):
    list_display = ("reason", "total", "minute", "in_minute")
    ordering = ("reason",)


@admin.register(MarketGap)
class MarketGapAdmin(LongListAdmin):
    list_display = ("instrument", "first_day", "last_day", "found_at", "filled_at", "tries", "last_error")
    list_select_related = ("instrument",)
    list_filter = (("instrument", AutocompleteSelectFilter),)
    search_fields = ("instrument__symbol__exact",)
    search_help_text = "A symbol"
    ordering = ("-found_at", "-id")


class CorporateActionForm(ServiceForm):
    paths: ClassVar[dict[str, str]] = {"symbol": "instrument"}

    class Meta:
        model = CorporateAction
        fields = (
            "external_id", "instrument", "kind", "ex_at", "amount", "new_units", "old_units", "cash_in_lieu_price"
        )  # fmt: skip


@admin.register(CorporateAction)
class CorporateActionAdmin(ServiceAdmin):
    """Recorded here once; who is entitled is booked in the background, and seen among the books."""

    form = CorporateActionForm
    list_display = (
        "ex_at",
        "instrument",
        "kind",
        "amount",
        "new_units",
        "old_units",
        "external_id",
        "withdrawn_at",
    )
    list_display_links = ("instrument",)
    list_select_related = ("instrument",)
    list_filter = ("kind", ("instrument", AutocompleteSelectFilter))
    search_fields = ("instrument__symbol__exact", "external_id__exact")
    search_help_text = "A symbol, or the source's own id"
    ordering = ("-ex_at", "id")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        names = [*CorporateActionForm.Meta.fields]
        return [presented(CorporateAction, name) for name in names] if obj is not None else names

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj) if obj is not None else []

    def carry_out(self, request: HttpRequest, form: Any, obj: Any) -> CorporateAction:
        self.ask(request, "corporate_actions", None)
        given = dict(form.cleaned_data)
        item = NewCorporateAction(symbol=given.pop("instrument").symbol, **given)
        return record(item, actor=actor_of(request))[0]


@admin.register(RecommendationSource)
class RecommendationSourceAdmin(ReadOnlyAdmin):
    list_display = ("name", "description", "pusher")
    list_select_related = ("pusher",)
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", "description", "pusher", "pulled", "calibration")

    @display(description="pulled")
    def pulled(self, row: RecommendationSource) -> str:
        """Not the whole address, which may hold a secret."""
        pull = RecommendationPull.objects.filter(pk=row).first()
        if pull is None:
            return EMPTY
        often = f"every {pull.every_seconds} s" if pull.enabled else "switched off"
        trouble = f"; {pull.failures} failures in a row: {pull.last_error}" if pull.failures else ""
        return f"from {urlsplit(pull.url).hostname}, {often}{trouble}"

    @display(description="calibration")
    def calibration(self, row: RecommendationSource) -> SafeString:
        """Of the last year of outcomes: does what it says come true?"""
        now = market_now()
        last = now.astimezone(UTC).date() if now else None
        first = first_day(last) if last else None
        told = calibration(source=row.name, first=first, last=last)
        return render_to_string(
            "market/calibration.html", {"told": told, "waiting": waiting(source=row.name)}
        )


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


@admin.register(RecommendationOutcome)
class RecommendationOutcomeAdmin(LongListAdmin):
    list_display = ("due_at", "advice", "reference_price", "at", "price", "gained", "hit")
    list_select_related = ("recommendation__instrument", "recommendation__source")
    list_filter = (
        ("recommendation__source", AutocompleteSelectFilter),
        ("recommendation__instrument", AutocompleteSelectFilter),
        "hit",
    )
    search_fields = ("recommendation__instrument__symbol__exact",)
    search_help_text = "A symbol"
    ordering = ("-due_at", "recommendation")

    @display(description="advice")
    def advice(self, row: RecommendationOutcome) -> str:
        return str(row.recommendation)

    @display(description="return", ordering="return_percentage")
    def gained(self, row: RecommendationOutcome) -> str:
        return EMPTY if row.return_percentage is None else f"{row.return_percentage:.2f} %"


@admin.register(RecommenderModel)
class RecommenderModelAdmin(ReadOnlyAdmin):
    list_display = ("version", "trained_through", "in_use", "skill", "trained_at")
    list_filter = ("in_use",)
    search_fields = ("version",)
    ordering = ("-trained_through", "version")

    @display(description="skill")
    def skill(self, row: RecommenderModel) -> str:
        return f"{row.metrics['skill']:.4f}" if "skill" in row.metrics else EMPTY
