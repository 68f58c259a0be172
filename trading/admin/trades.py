"""Orders and their fills, read-only: one is placed by hand by adding it, and cancelled as long as it is open."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from foundation.admin.base import LongListAdmin, ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import badge, presented
from foundation.errors import RecordedRefusal
from portfolios.core.access import Action
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade, Execution
from trading.services.manual import place_trade
from trading.services.order_management import cancel_trade
from trading.services.settling import ENDS, EXPLANATION_CHARACTERS_MAX, settle_by_hand

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


class SettleForm(BaseDialogForm):
    state = forms.ChoiceField(
        choices=[(state.value, state.value) for state in ENDS], widget=UnfoldAdminSelectWidget(),
        help_text="How it ended at the broker",
    )  # fmt: skip
    explanation = forms.CharField(
        max_length=EXPLANATION_CHARACTERS_MAX, widget=UnfoldAdminTextInputWidget(),
        help_text="What the broker says of it, and who has looked",
    )  # fmt: skip


class OrderForm(ServiceForm):
    """An order asked of every control as a rule's is; what its type does not need stays empty."""

    paths: ClassVar[dict[str, str]] = {"symbol": "instrument"}

    class Meta:
        model = AutoTrade
        fields = (
            "portfolio", "instrument", "trade_type", "quantity", "order_type", "time_in_force", "limit_price",
            "stop_price", "trail_percentage",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"limit_price", "stop_price", "trail_percentage"} & self.fields.keys():
            self.fields[name].required = False


@admin.register(AutoTrade)
class AutoTradeAdmin(ServiceAdmin, LongListAdmin):
    form = OrderForm
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
    autocomplete_fields = ("portfolio", "instrument")
    actions = ("cancel_selected",)
    actions_detail = ("cancel", "settle")
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
            "account", ("order_type", "time_in_force", "expires_at"), ("limit_price", "stop_price", "trail_percentage"),
            ("triggered_at", "best_price"), ("cancel_requested_at", "cancel_reason"), "client_order_id",
            "broker_order_id", ("attempt", "fence"), ("claimed_by", "claimed_until"), ("sent_at", "asks", "ask_at"),
            "limits_version", "price_age_ms",
        )}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AutoTrade]:
        related = ("portfolio", "rule", "session__portfolio", "account__portfolio", "decision")
        return super().get_queryset(request).select_related(*related)

    # --- by hand -----------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(ModelAdmin.has_add_permission(self, request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        if obj is None:
            return [(None, {"fields": list(OrderForm.Meta.fields)})]
        return super().get_fieldsets(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[type[ExecutionInline], ...]:
        return self.inlines if obj is not None else ()

    def carry_out(self, request: HttpRequest, form: OrderForm, obj: Any) -> AutoTrade:
        given = form.cleaned_data
        return place_trade(
            portfolio_id=given["portfolio"].pk, symbol=given["instrument"].symbol, side=given["trade_type"],
            quantity=given["quantity"], actor=actor_of(request),
            terms=OrderTerms(
                order_type=OrderType(given["order_type"]), time_in_force=TimeInForce(given["time_in_force"]),
                limit_price=given["limit_price"], stop_price=given["stop_price"],
                trail_percentage=given["trail_percentage"],
            ),
        )  # fmt: skip

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A recorded refusal must not roll its record back, so it goes on as an answer."""
        try:
            super().save_model(request, obj, form, change)
        except RecordedRefusal as refusal:
            request.recorded = refusal  # type: ignore[attr-defined]

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if hasattr(request, "recorded") else super().log_addition(request, obj, message)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Refused: to the decision, which shows every control, for those who may see it."""
        refusal: RecordedRefusal | None = getattr(request, "recorded", None)
        if refusal is None:
            placed: HttpResponse = super().response_add(request, obj, post_url_continue)
            return placed
        self.message_user(request, f"Refused: {refusal.detail}", messages.ERROR)
        if request.user.has_perm("trading.view_decision"):
            place = reverse("admin:trading_decision_change", args=[refusal.extra["decision_id"]])
        else:
            place = reverse("admin:trading_autotrade_add")
        return HttpResponseRedirect(place)

    # --- after that --------------------------------------------------------------------------------

    @display(description="reason")
    def why(self, trade: AutoTrade) -> str:
        return trade.decision.detail

    @admin.action(description="Cancel (if nothing was sent)", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, trades: QuerySet[AutoTrade]) -> None:
        self.run_each(
            request,
            trades,
            lambda trade: cancel_trade(trade_id=trade.pk, actor=actor_of(request)),
            action=Action.CANCEL_TRADE,
            done="cancelled",
        )

    @action(
        description="Cancel", permissions=["operate"], icon="cancel", variant=ActionVariant.DANGER,
        dialog={"title": "Cancel this trade", "description": "What works at a broker may still be filled first.",
                "form_class": None, "form_submit_text": "Cancel the trade"},
    )  # fmt: skip
    def cancel(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        trade = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: cancel_trade(trade_id=trade.pk, actor=actor_of(request)),
            action=Action.CANCEL_TRADE, portfolio_id=trade.portfolio_id,
            done="Cancelled, or asked for at its broker: its status tells which.",
        )  # fmt: skip

    @action(
        description="End by hand", permissions=["operate"], icon="gavel", url_path="settle",
        dialog={"title": "End this quarantined trade", "form_class": SettleForm, "form_submit_text": "End the trade",
                "description": "For risk officers of the portfolio and for staff, after a look at the broker. What it "
                               "has reserved is given back; should it turn up, its fills are booked."},
    )  # fmt: skip
    def settle(self, request: HttpRequest, form: SettleForm, object_id: str) -> HttpResponse:
        trade, given = self.existing(request, object_id), form.cleaned_data
        return self.run_dialog(
            request, object_id,
            lambda: settle_by_hand(
                trade_id=trade.pk, state=given["state"], explanation=given["explanation"], actor=actor_of(request)
            ),
            action=None, done="The trade has ended.",
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
