"""Session plans: made, changed, enabled and disabled here, by the services."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.json_field import JSONTextField
from portfolios.core.access import Action
from rules.core.fields import WEEKDAYS
from sessions.admin.sessions import CONFIG_HELP
from sessions.models import SessionPlan
from sessions.services.plans import PlanContent, create_plan, disable_plan, enable_plan, update_plan

WRITTEN = ("name", "exchange", "start_minutes_before_open", "stop_minutes_after_close", "weekdays", "config")
KEPT = ("is_enabled", "responsible", "last_day", "last_outcome", "undecided_day", "created_at")


class PlanForm(ServiceForm):
    config = JSONTextField(rows=10, help_text=f"Of each session, without ends_at. {CONFIG_HELP}")
    weekdays = forms.MultipleChoiceField(
        choices=[(name, name.capitalize()) for name in WEEKDAYS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: each trading day.",
    )

    class Meta:
        model = SessionPlan
        fields = ("portfolio", *WRITTEN)


@admin.register(SessionPlan)
class SessionPlanAdmin(ServiceAdmin):
    form = PlanForm
    list_display = ("name", "portfolio", "exchange", "is_enabled", "last_day", "last_outcome", "responsible")
    list_select_related = ("portfolio", "exchange", "responsible")
    list_filter = ("is_enabled", "exchange", ("portfolio", AutocompleteSelectFilter))
    search_fields = ("name", "portfolio__name", "id__exact")
    autocomplete_fields = ("portfolio", "exchange")
    ordering = ("-created_at",)
    actions: ClassVar[Any] = ("enable_selected", "disable_selected")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["portfolio", *WRITTEN] if obj is None else ["portfolio", *WRITTEN, *self._kept()]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [] if obj is None else ["portfolio", *self._kept()]

    def _kept(self) -> list[Any]:
        return [self._presented(name) for name in KEPT]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"config": {"on_stop": "keep"}, **super().get_changeform_initial_data(request)}

    def carry_out(self, request: HttpRequest, form: Any, obj: Any) -> SessionPlan:
        given = {name: form.cleaned_data[name] for name in WRITTEN}
        content = PlanContent(**{**given, "exchange": given["exchange"].pk})
        if obj is None:
            portfolio_id = form.cleaned_data["portfolio"].pk
            self.ask(request, Action.RUN_SESSION, portfolio_id)
            return create_plan(portfolio_id=portfolio_id, content=content, actor=actor_of(request))
        self.ask(request, Action.RUN_SESSION, obj.portfolio_id)
        return update_plan(plan_id=obj.pk, content=content, actor=actor_of(request))

    @admin.action(description="Enable (in your name)", permissions=["operate"])
    def enable_selected(self, request: HttpRequest, rows: QuerySet[SessionPlan]) -> None:
        self._each(request, rows, enable_plan, "enabled")

    @admin.action(description="Disable", permissions=["operate"])
    def disable_selected(self, request: HttpRequest, rows: QuerySet[SessionPlan]) -> None:
        self._each(request, rows, disable_plan, "disabled")

    def _each(self, request: HttpRequest, rows: QuerySet[SessionPlan], service: Any, done: str) -> None:
        self.run_each(
            request, rows, lambda row: service(plan_id=row.pk, actor=actor_of(request)),
            action=Action.RUN_SESSION, done=done,
        )  # fmt: skip
