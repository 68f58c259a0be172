"""The emergency stop: armed by adding a halt, released by somebody else."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of, as_domain_error
from foundation.errors import DomainError
from portfolios.core.access import Action
from trading.models import AutoTrade, Halt
from trading.services.emergency_stop import OF_MEMBERS, portfolio_of, release
from trading.services.stop_button import press

STATE_COLOURS = {"armed": "danger", "drained": "warning", "released": "success"}
# Scope of a halt -> the trade's relation that leads to what is halted.
TARGETS = {
    "account": "account",
    "portfolio": "portfolio",
    "session": "session",
    "rule": "rule",
    "symbol": "instrument",
}


def _target(scope: str) -> forms.ModelChoiceField:
    relation = AutoTrade._meta.get_field(TARGETS[scope])
    assert relation.related_model is not None
    return forms.ModelChoiceField(
        queryset=relation.related_model._default_manager.all(),
        required=False,
        widget=AutocompleteSelect(relation, admin.site),
    )


class ArmForm(ServiceForm):
    paths = {"scope_id": "scope"}

    scope = forms.ChoiceField(
        choices=Halt.Scope.choices, initial=Halt.Scope.PORTFOLIO, widget=UnfoldAdminSelectWidget()
    )
    account = _target("account")
    portfolio = _target("portfolio")
    session = _target("session")
    rule = _target("rule")
    symbol = _target("symbol")
    reason = forms.CharField(max_length=255, widget=UnfoldAdminTextInputWidget())

    class Meta:
        model = Halt
        fields = ("mode",)

    def scope_id(self) -> str:
        """The id that names what is halted: a UUID, a symbol, or nothing for the platform."""
        scope = self.cleaned_data["scope"]
        if scope == Halt.Scope.PLATFORM:
            return ""
        target = self.cleaned_data[scope]
        return target.symbol if scope == Halt.Scope.SYMBOL else str(target.pk)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        scope = cleaned.get("scope")
        if scope in TARGETS and scope in cleaned and cleaned[scope] is None:
            self.add_error(scope, f"Choose the {scope} that is to stop.")
        return cleaned


class StopForm(BaseDialogForm):
    """Only why: what is stopped is everything."""

    reason = forms.CharField(max_length=255, widget=UnfoldAdminTextInputWidget())
    mode = forms.ChoiceField(
        choices=[("halt", "halt: nothing but cancels"), ("reduce_only", "reduce only: sells go on")],
        initial=Halt.Mode.HALT,
        widget=UnfoldAdminSelectWidget(),
    )


@display(description="state", label=STATE_COLOURS)
def state(halt: Halt) -> str:
    if halt.released_at is not None:
        return "released"
    return "drained" if halt.drained_at is not None else "armed"


@admin.register(Halt)
class HaltAdmin(ServiceAdmin):
    form = ArmForm
    list_display = (
        "armed_at", state, "scope", "scope_id", "mode", "reason", "armed_by", "armed_by_rule",
        "armed_by_breaker", "drained_at",
        "released_by", "released_at",
    )  # fmt: skip
    list_display_links = ("reason",)
    list_select_related = ("armed_by", "armed_by_rule", "released_by")
    list_filter = ("scope", "mode", "armed_by_breaker", ("released_at", admin.EmptyFieldListFilter))
    search_fields = ("scope_id__exact", "reason")
    ordering = ("-armed_at",)
    actions = ("release_selected",)
    actions_list = ("stop_everything",)
    actions_detail = ("let_go",)
    conditional_fields = {name: f"scope == '{name}'" for name in TARGETS}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["scope", *TARGETS, "mode", "reason"] if obj is None else self.shown_fields()

    def carry_out(self, request: HttpRequest, form: ArmForm, obj: Any) -> Halt:
        given = form.cleaned_data
        within = portfolio_of(given["scope"], form.scope_id()) if given["scope"] in OF_MEMBERS else None
        self.ask(request, Action.STOP_PLATFORM if within is None else Action.STOP, within)
        halt, _ = press(
            scope=given["scope"], scope_id=form.scope_id(), mode=given["mode"], reason=given["reason"],
            actor=actor_of(request),
        )  # fmt: skip
        return halt

    @action(
        description="Stop all trading", permissions=["arm"], icon="emergency_home", variant=ActionVariant.DANGER,
        url_path="stop-everything",
        dialog={"title": "Stop all trading", "form_class": StopForm, "form_submit_text": "Stop all trading",
                "description": "The whole platform, at once. Somebody else must release it."},
    )  # fmt: skip
    def stop_everything(self, request: HttpRequest, form: StopForm) -> HttpResponse:
        given = form.cleaned_data
        try:
            self.ask(request, Action.STOP_PLATFORM, None)
            halt, _ = press(
                scope=Halt.Scope.PLATFORM, mode=given["mode"], reason=given["reason"], actor=actor_of(request)
            )  # fmt: skip
        except (DomainError, OperationalError) as error:
            self.message_user(request, as_domain_error(error).detail, messages.ERROR)
        else:
            self.message_user(request, f"Armed: {halt}. Nothing of it goes out any more.", messages.SUCCESS)
        return HttpResponse(headers={"HX-Redirect": reverse("admin:trading_halt_changelist")})

    def has_arm_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    @admin.action(description="Release", permissions=["operate"])
    def release_selected(self, request: HttpRequest, halts: QuerySet[Halt]) -> None:
        self.run_each(
            request,
            halts,
            lambda halt: release(halt_id=halt.pk, actor=actor_of(request)),
            action=None,
            done="released",
        )

    @action(
        description="Release", permissions=["operate"], icon="lock_open", url_path="release",
        dialog={"title": "Release", "description": "Trading goes on. Nobody releases a halt that he armed himself.",
                "form_class": None, "form_submit_text": "Release"},
    )  # fmt: skip
    def let_go(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        halt = self.existing(request, object_id)
        return self.run_dialog(
            request,
            object_id,
            lambda: release(halt_id=halt.pk, actor=actor_of(request)),
            action=None,
            done="The halt is released.",
        )
