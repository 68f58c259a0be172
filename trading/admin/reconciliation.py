"""How broker and books agree: breaks with their explanations, and the comparisons."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from foundation.admin.base import LongListAdmin, actor_of
from foundation.admin.presentation import badge
from trading.models import Reconciliation, ReconciliationBreak
from trading.services.breaks import EXPLANATION_CHARACTERS_MAX, explain_break

STATE_COLOURS = {"open": "danger", "explained": "success", "gone": "info"}
TRIGGER_COLOURS = {"start": "info", "reconnect": "warning", "periodic": "success", "manual": "info"}


class ExplainForm(BaseDialogForm):
    explanation = forms.CharField(
        max_length=EXPLANATION_CHARACTERS_MAX, widget=UnfoldAdminTextInputWidget(), help_text="Why it is so"
    )


@display(description="state", label=STATE_COLOURS)
def state(row: ReconciliationBreak) -> str:
    if row.ended_at is None:
        return "open"
    return "explained" if row.explained_by_id is not None else "gone"


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(LongListAdmin):
    list_display = (
        "found_at",
        state,
        "kind",
        "detail",
        "account",
        "last_seen_at",
        "explained_by",
        "ended_at",
    )
    list_display_links = ("detail",)
    list_select_related = ("account__portfolio", "explained_by")
    list_filter = ("kind", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("key__exact", "id__exact")
    search_help_text = "What it is about: an order's id, a symbol, a currency"
    ordering = ("-found_at", "-id")
    actions_detail = ("explain",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account__portfolio", "explained_by")

    @action(
        description="Explain", permissions=["operate"], icon="edit_note", url_path="explain",
        dialog={"title": "Explain this break", "form_class": ExplainForm, "form_submit_text": "Explain",
                "description": "For risk officers of the portfolio and for staff. The halt is released afterwards."},
    )  # fmt: skip
    def explain(self, request: HttpRequest, form: ExplainForm, object_id: str) -> HttpResponse:
        row = self.existing(request, object_id)
        return self.run_dialog(
            request,
            object_id,
            lambda: explain_break(
                break_id=row.pk, explanation=form.cleaned_data["explanation"], actor=actor_of(request)
            ),
            action=None,
            done="The break is explained.",
        )


@admin.register(Reconciliation)
class ReconciliationAdmin(LongListAdmin):
    list_display = (
        "started_at", badge("trigger", TRIGGER_COLOURS), "account", "finished_at", "failure", "orders",
        "fills_booked", "breaks",
    )  # fmt: skip
    list_select_related = ("account__portfolio",)
    list_filter = ("trigger", ("failure", admin.EmptyFieldListFilter))
    ordering = ("-started_at", "-id")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account__portfolio")
