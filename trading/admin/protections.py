"""Which positions are protected, and how; set anew and removed by the services."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action
from unfold.enums import ActionVariant

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from portfolios.core.access import Action
from trading.models import Protection
from trading.services.protections import remove_protection, set_protection

PERCENTAGES = ("stop_loss_percentage", "take_profit_percentage", "trailing_stop_percentage")


class ProtectForm(ServiceForm):
    class Meta:
        model = Protection
        fields = PERCENTAGES


@admin.register(Protection)
class ProtectionAdmin(ServiceAdmin):
    form = ProtectForm
    list_display = ("portfolio", "instrument", *PERCENTAGES, "refusal", "actor", "opened_at", "updated_at")
    list_display_links = ("instrument",)
    list_select_related = ("portfolio", "instrument")
    list_filter = (
        ("portfolio", AutocompleteSelectFilter),
        ("instrument", AutocompleteSelectFilter),
        "refusal",
    )
    search_fields = ("instrument__symbol__exact", "id__exact")
    search_help_text = "A symbol, or a protection's id"
    ordering = ("-updated_at",)
    actions = ("remove_selected",)
    actions_detail = ("remove",)
    readonly_fields = (
        "portfolio", "instrument", "opened_at", "actor", "rule_version", "trade", "refusal", "created_at", "updated_at",
    )  # fmt: skip
    fields = ("portfolio", "instrument", *PERCENTAGES, *readonly_fields[2:])

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Protection]:
        return (
            super().get_queryset(request).select_related("portfolio", "instrument", "rule_version", "trade")
        )

    def carry_out(self, request: HttpRequest, form: ProtectForm, obj: Any) -> Protection:
        self.ask(request, Action.PROTECT, obj.portfolio_id)
        return set_protection(
            portfolio_id=obj.portfolio_id, symbol=obj.instrument.symbol, actor=actor_of(request),
            **{name: form.cleaned_data[name] for name in PERCENTAGES},
        )  # fmt: skip

    def _remove(self, request: HttpRequest, row: Protection) -> None:
        remove_protection(
            portfolio_id=row.portfolio_id, symbol=row.instrument.symbol, actor=actor_of(request)
        )

    @admin.action(description="Remove (the position is kept)", permissions=["operate"])
    def remove_selected(self, request: HttpRequest, rows: QuerySet[Protection]) -> None:
        self.run_each(
            request, rows, lambda row: self._remove(request, row), action=Action.PROTECT, done="removed"
        )

    @action(
        description="Remove", permissions=["operate"], icon="remove_moderator", variant=ActionVariant.DANGER,
        dialog={"title": "Remove this protection", "description": "The position is kept, unprotected.",
                "form_class": None, "form_submit_text": "Remove the protection"},
    )  # fmt: skip
    def remove(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        row = self.existing(request, object_id)
        answer = self.run_dialog(
            request, object_id, lambda: self._remove(request, row), action=Action.PROTECT,
            portfolio_id=row.portfolio_id, done="The protection is removed.",
        )  # fmt: skip
        if Protection.objects.filter(pk=object_id).exists():
            return answer
        return HttpResponse(headers={"HX-Redirect": reverse("admin:trading_protection_changelist")})
