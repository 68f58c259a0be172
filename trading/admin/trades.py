"""Orders and their fills, read-only; a trade of which nothing was sent can be cancelled."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from foundation.admin.base import LongListAdmin, actor_of
from foundation.admin.presentation import badge, presented
from trading.models import AutoTrade, Execution
from trading.services.order_management import cancel_trade

STATUS_COLOURS = {
    "pending": "info",
    "submitting": "info",
    "accepted": "info",
    "partially_filled": "info",
    "cancelling": "warning",
    "filled": "success",
    "cancelled": "warning",
    "expired": "warning",
    "rejected": "danger",
    "unknown": "danger",
    "quarantined": "danger",
}
SIDE_COLOURS = {"buy": "success", "sell": "warning"}
FILL = ("execution_id", "quantity", "price", "fee", "realised_pnl", "market_at")


class ExecutionInline(TabularInline):
    model = Execution
    extra = 0
    can_delete = False
    verbose_name_plural = "fills"
    ordering = ("id",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [presented(Execution, name) for name in FILL]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AutoTrade)
class AutoTradeAdmin(LongListAdmin):
    list_display = (
        "market_at", "portfolio", badge("trade_type", SIDE_COLOURS, description="side"), "quantity", "symbol",
        badge("status", STATUS_COLOURS), "executed_price", "fees", "realised_pnl", "rule", "status_reason",
    )  # fmt: skip
    list_select_related = ("portfolio", "rule")
    list_filter = (
        "status",
        "trade_type",
        "origin",
        ("portfolio", AutocompleteSelectFilter),
        ("rule", AutocompleteSelectFilter),
        ("instrument", AutocompleteSelectFilter),
    )
    search_fields = ("symbol__exact", "client_order_id__exact", "broker_order_id__exact", "id__exact")
    search_help_text = "A symbol, an order's id, or a trade's id"
    ordering = ("-created_at",)
    inlines = (ExecutionInline,)
    actions = ("cancel_selected",)
    actions_detail = ("cancel",)
    fieldsets = (
        (None, {"fields": (
            "portfolio", ("trade_type", "symbol"), ("quantity", "filled_quantity"),
            ("trigger_price", "executed_price"), ("fees", "realised_pnl"), ("status", "status_reason"),
        )}),
        ("Why", {"fields": (
            "why", "decision", "session", "rule", "rule_version", "recommendation", "origin", "actor",
        )}),
        ("When", {"fields": ("market_at", "executed_at", "slot", "created_at", "updated_at")}),
        ("Order", {"fields": (
            "account", "order_type", "client_order_id", "broker_order_id", ("attempt", "fence"),
            ("claimed_by", "claimed_until"), "limits_version", "price_age_ms",
        )}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AutoTrade]:
        related = ("portfolio", "rule", "session__portfolio", "account__portfolio", "decision")
        return super().get_queryset(request).select_related(*related)

    @display(description="reason")
    def why(self, trade: AutoTrade) -> str:
        return trade.decision.detail

    @admin.action(description="Cancel (if nothing was sent)", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, trades: QuerySet[AutoTrade]) -> None:
        self.run_each(
            request,
            trades,
            lambda trade: cancel_trade(trade_id=trade.pk, actor=actor_of(request)),
            done="cancelled",
        )

    @action(
        description="Cancel", permissions=["operate"], icon="cancel", variant=ActionVariant.DANGER,
        dialog={"title": "Cancel this trade", "description": "Possible as long as nothing was sent.",
                "form_class": None, "form_submit_text": "Cancel the trade"},
    )  # fmt: skip
    def cancel(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        trade = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: cancel_trade(trade_id=trade.pk, actor=actor_of(request)),
            done="The trade is cancelled.",
        )  # fmt: skip


@admin.register(Execution)
class ExecutionAdmin(LongListAdmin):
    list_display = ("market_at", "trade", "quantity", "price", "fee", "realised_pnl", "execution_id")
    list_display_links = ("execution_id",)
    list_select_related = ("trade",)
    search_fields = ("execution_id__exact", "trade__id__exact", "trade__symbol__exact")
    search_help_text = "An execution's or trade's id, or a symbol"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        return super().get_queryset(request).select_related("account__portfolio", "trade")
