"""Why it traded, and why it did not."""

from django.contrib import admin
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from foundation.admin.base import LongListAdmin
from foundation.admin.presentation import EMPTY, badge, shown_json
from trading.admin.explained import arithmetic_table, checks_table, conditions_table, schedule_table
from trading.admin.questions import question_urls
from trading.models import AutoTrade, Decision

OUTCOME_COLOURS = {
    "traded": "success",
    "alerted": "info",
    "refused": "danger",
    "outranked": "warning",
    "no_size": "warning",
    "lapsed": "info",
    "resting": "info",
    "blocking": "warning",
    "halted": "danger",
}


@admin.register(Decision)
class DecisionAdmin(LongListAdmin):
    list_display = (
        "last_market_at", "portfolio", "rule", "instrument", badge("outcome", OUTCOME_COLOURS), "code",
        "short_detail", "repeated", "market_at",
    )  # fmt: skip
    list_select_related = ("portfolio", "rule", "instrument")
    list_filter = (
        ("portfolio", AutocompleteSelectFilter),
        ("rule", AutocompleteSelectFilter),
        ("instrument", AutocompleteSelectFilter),
        "outcome",
    )
    search_fields = ("code__exact", "instrument__symbol__exact", "id__exact")
    search_help_text = "A refusal code, a symbol, or a decision's id"
    ordering = ("-last_slot", "-created_at")
    fieldsets = (
        (None, {"fields": (
            "portfolio", "session", "rule", "rule_version", "instrument", "outcome", "code", "detail",
            "trade_made", "lost_against",
        )}),
        ("When", {"fields": ("market_at", "slot", "repeated", "last_market_at", "last_slot", "created_at")}),
        ("Reasons", {"fields": ("conditions", "schedule")}),
        ("Size", {"fields": ("arithmetic",)}),
        ("Risk controls", {"fields": ("controls",)}),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()
        return question_urls(self) + urls

    @display(description="detail")
    def short_detail(self, decision: Decision) -> str:
        return decision.detail if len(decision.detail) <= 100 else f"{decision.detail[:99]}…"

    @display(description="trade")
    def trade_made(self, decision: Decision) -> SafeString | str:
        trade = AutoTrade.objects.filter(decision=decision).first()
        if trade is None:
            return EMPTY
        url = reverse("admin:trading_autotrade_change", args=[trade.pk])
        return format_html('<a class="plain-link" href="{}">{}</a>', url, trade)

    @display(description="lost against")
    def lost_against(self, decision: Decision) -> SafeString | str:
        beaten_by = decision.outranked_by
        if not beaten_by or "rule_name" not in beaten_by:
            return shown_json(beaten_by)  # as it was recorded before rules were named in it
        url = reverse("admin:rules_tradingrule_change", args=[beaten_by["rule_id"]])
        return format_html(
            '<a class="plain-link" href="{}">{}</a>, version {}: {}',
            url, beaten_by["rule_name"], beaten_by["version"], beaten_by["reason"],
        )  # fmt: skip

    @display(description="conditions")
    def conditions(self, decision: Decision) -> SafeString:
        return conditions_table(decision.explanation)

    @display(description="schedule")
    def schedule(self, decision: Decision) -> SafeString:
        return schedule_table(decision.explanation)

    @display(description="arithmetic")
    def arithmetic(self, decision: Decision) -> SafeString:
        return arithmetic_table(decision.sizing)

    @display(description="controls")
    def controls(self, decision: Decision) -> SafeString:
        return checks_table(decision.checks)
