"""Sessions: started, paused, resumed, stopped and tightened here; never edited otherwise."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.json_field import JSONTextField
from foundation.admin.presentation import badge
from portfolios.admin.limits import limit_fields, plain_limits
from portfolios.core.access import Action
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import LimitSet
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import set_limits
from sessions.models import TradingSession
from sessions.services.sessions import (
    pause_trading_session,
    resume_trading_session,
    start_trading_session,
    stop_trading_session,
)

STATUS_COLOURS = {"active": "success", "paused": "warning", "stopping": "danger", "stopped": "info"}
CONFIG_HELP = (
    'All keys may be left out. "universe": {"symbols": ["AAPL", …], "exchanges": ["XNYS", …], '
    '"tags": ["dividend", …]}: it may trade what any of them names, else everything. '
    '"recommendation_sources": ["baseline", …]: in order of preference, else the newest of all. '
    '"limits": {"max_order_value": "5000", …}: they may only tighten. '
    '"capital_cap": {"percentage": 10} of equity, or {"amount": "5000"}: the most that it may have invested, else '
    "everything; sizes are measured by it. "
    '"trading_window": {"weekdays": ["MONDAY", …], "from": "09:45", "to": "15:30", "minutes_after_open": 15, '
    '"minutes_before_close": 30, "blackout_dates": ["2026-12-24", …]}: when entries may be made, on the exchange\'s '
    "clock, else always; each of its keys may be left out. "
    '"evaluation": "tick" or {"every_seconds": 60}: how often its rules are looked at. "mode": "paper" or "live": what '
    'the account must be. "ends_at": "2026-12-24T21:00:00Z": when it stops by itself, in market time. '
    '"on_stop": "keep" or "flatten": what stopping does with open positions.'
)


class StartForm(ServiceForm):
    config = JSONTextField(rows=10, help_text=CONFIG_HELP)

    class Meta:
        model = TradingSession
        fields = ("portfolio", "session_name")


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(max_length=255, required=False, widget=UnfoldAdminTextInputWidget())


class StopForm(ReasonForm):
    keep = forms.BooleanField(
        label="Keep what is held",
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Whatever its config says; also of a session that is stopping and cannot sell what it holds.",
    )


class SessionLimitsForm(BaseDialogForm):
    """All limits of one session, beginning with those in force."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.update(limit_fields())
        row = TradingSession.objects.filter(pk=self.object_id).first()
        key = (LimitSet.Scope.SESSION, row.pk if row is not None else None)
        current = current_limit_sets([key]).get(key)
        if current is not None:
            self.initial = plain_limits(limit_values(current))


def _dialog(title: str, description: str, form: type[BaseDialogForm] | None) -> dict[str, Any]:
    return {"title": title, "description": description, "form_class": form, "form_submit_text": title}


@admin.register(TradingSession)
class TradingSessionAdmin(ServiceAdmin):
    form = StartForm
    list_display = (
        "__str__", "portfolio", badge("status", STATUS_COLOURS), "start_time", "end_time", "total_trades",
        "successful_trades", "total_pnl",
    )  # fmt: skip
    list_select_related = ("portfolio",)
    list_filter = ("status", ("portfolio", AutocompleteSelectFilter))
    search_fields = ("session_name", "portfolio__name", "id__exact")
    autocomplete_fields = ("portfolio",)
    ordering = ("-start_time",)
    hidden = ("is_active",)
    actions = ("pause_selected", "resume_selected", "stop_selected")
    actions_detail = ("why", "tighten", "resume", "pause", "stop")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return (
            ["portfolio", "session_name", "config"] if obj is None else [*self.shown_fields(), "performance"]
        )

    @display(description="performance")
    def performance(self, row: TradingSession) -> SafeString:
        """A page of trading's, which knows what it has traded."""
        url = reverse("admin:trading_sessionperformance_change", args=[row.pk])
        return format_html('<a class="plain-link" href="{}">How it does</a>', url)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TradingSession]:
        return super().get_queryset(request).select_related("portfolio", "slice")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"config": {"on_stop": "keep"}, **super().get_changeform_initial_data(request)}

    def carry_out(self, request: HttpRequest, form: StartForm, obj: Any) -> TradingSession:
        given = form.cleaned_data
        self.ask(request, Action.RUN_SESSION, given["portfolio"].pk)
        return start_trading_session(
            portfolio_id=given["portfolio"].pk, config=given["config"], session_name=given["session_name"],
            actor=actor_of(request),
        )  # fmt: skip

    # --- the selected ------------------------------------------------------------------------------

    @admin.action(description="Pause (exits go on)", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, rows: QuerySet[TradingSession]) -> None:
        self._each(request, rows, pause_trading_session, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume_selected(self, request: HttpRequest, rows: QuerySet[TradingSession]) -> None:
        self._each(request, rows, resume_trading_session, "resumed")

    @admin.action(description="Stop (for ever)", permissions=["operate"])
    def stop_selected(self, request: HttpRequest, rows: QuerySet[TradingSession]) -> None:
        self._each(request, rows, stop_trading_session, "stopping")

    def _each(self, request: HttpRequest, rows: QuerySet[TradingSession], service: Any, done: str) -> None:
        self.run_each(
            request, rows, lambda row: service(session_id=row.pk, actor=actor_of(request)),
            action=Action.RUN_SESSION, done=done,
        )  # fmt: skip

    # --- one ---------------------------------------------------------------------------------------

    @action(description="Why (not)?", permissions=["question"], icon="help")
    def why(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.lead_to("trading_why", self.existing(request, object_id).portfolio_id)

    @action(
        description="Pause", permissions=["operate"], icon="pause",
        dialog=_dialog("Pause", "No new entries from now on; exits and risk rules go on.", ReasonForm),
    )  # fmt: skip
    def pause(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = {"reason": form.cleaned_data["reason"]}
        return self._one(request, object_id, pause_trading_session, "The session is paused.", **reason)

    @action(
        description="Resume", permissions=["operate"], icon="play_arrow",
        dialog=_dialog("Resume", "Entries are made again.", None),
    )  # fmt: skip
    def resume(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(request, object_id, resume_trading_session, "The session is active.")

    @action(
        description="Stop", permissions=["operate"], icon="stop", variant=ActionVariant.DANGER,
        dialog=_dialog("Stop", "The session ends for ever; positions are kept or sold as its config says.", StopForm),
    )  # fmt: skip
    def stop(self, request: HttpRequest, form: StopForm, object_id: str) -> HttpResponse:
        how = {"reason": form.cleaned_data["reason"], "keep": form.cleaned_data["keep"]}
        return self._one(request, object_id, stop_trading_session, "The session is stopping.", **how)

    @action(
        description="Limits", permissions=["set_limits"], icon="tune", url_path="limits",
        dialog=_dialog("Set limits", "A new version for this session; what is left empty is not limited by it. "
                       "Where changes need four eyes, none may become looser.", SessionLimitsForm),
    )  # fmt: skip
    def tighten(self, request: HttpRequest, form: SessionLimitsForm, object_id: str) -> HttpResponse:
        row = self.existing(request, object_id)
        values = {name: form.cleaned_data[name] for name in LIMIT_NAMES}

        def service() -> LimitSet:
            return set_limits(
                scope=LimitSet.Scope.SESSION, scope_id=row.pk, values=values, portfolio_id=row.portfolio_id,
                actor=actor_of(request),
            )  # fmt: skip

        return self.run_dialog(
            request, object_id, service, action=Action.SET_LIMITS, portfolio_id=row.portfolio_id,
            done="The session's limits are set.",
        )  # fmt: skip

    def _one(
        self, request: HttpRequest, object_id: str, service: Any, done: str, **more: Any
    ) -> HttpResponse:
        row = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: service(session_id=row.pk, actor=actor_of(request), **more),
            action=Action.RUN_SESSION, portfolio_id=row.portfolio_id, done=done,
        )  # fmt: skip
