"""Limits change by new versions: "add" starts from those in force, and an old version only shows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import badge, presented
from portfolios.admin.approval import WAITS, approval, approve_dialog, reject_dialog
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import LimitSet, Portfolio
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import approve_limits, reject_limits, set_limits

Scope = LimitSet.Scope
SCOPE_COLOURS = {"platform": "danger", "portfolio": "primary", "session": "info"}


def limit_fields() -> dict[str, forms.DecimalField]:
    """One optional number for each limit that there is."""
    return {
        name: forms.DecimalField(
            required=False,
            max_digits=20,
            decimal_places=8,
            help_text=meaning,
            label=name.replace("_", " "),
            widget=UnfoldAdminDecimalFieldWidget(),
        )
        for name, meaning in LIMIT_NAMES.items()
    }


def plain_limits(values: Mapping[str, Any]) -> dict[str, str]:
    """For a form's first sight: numbers without their trailing zeros."""
    return {
        name: format(values[name].normalize(), "f") for name in LIMIT_NAMES if values.get(name) is not None
    }


class NewLimits(ServiceForm):
    """A version for the platform or a portfolio; a session's limits are set on the session's page."""

    paths = {"scope_id": "portfolio"}

    scope = forms.ChoiceField(
        choices=[(Scope.PLATFORM, "platform"), (Scope.PORTFOLIO, "portfolio")],
        widget=UnfoldAdminSelectWidget(),
        help_text="Limits hold together: the tightest of platform, portfolio and session wins.",
    )
    portfolio = ModelChoiceField(
        queryset=Portfolio.objects.all(),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="For a portfolio's limits.",
    )

    class Meta:
        model = LimitSet
        fields = tuple(LIMIT_NAMES)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("scope") == Scope.PORTFOLIO and cleaned.get("portfolio") is None:
            self.add_error("portfolio", "Choose the portfolio that the limits are for.")
        if cleaned.get("scope") == Scope.PLATFORM and cleaned.get("portfolio") is not None:
            self.add_error("portfolio", "The platform's limits are for all portfolios: leave this empty.")
        return cleaned


@admin.register(LimitSet)
class LimitSetAdmin(ServiceAdmin):
    form = NewLimits
    list_display = (
        badge("scope", SCOPE_COLOURS),
        "of",
        "version",
        approval,
        *LIMIT_NAMES,
        "created_by",
        "created_at",
    )
    list_display_links = ("version",)
    list_select_related = ("created_by",)
    list_filter = ("scope", "needs_approval", "approved")
    search_fields = ("scope_id__exact",)
    search_help_text = "The id of a portfolio or session"
    ordering = ("-created_at",)
    conditional_fields = {"portfolio": "scope == 'portfolio'"}
    actions_detail = ("new_version", "approve", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LimitSet]:
        """With the portfolio's name, which is no foreign key: a scope may be a session too."""
        name = Portfolio.objects.filter(pk=OuterRef("scope_id")).values("name")[:1]
        return super().get_queryset(request).annotate(portfolio_name=Subquery(name))

    @display(description="of")
    def of(self, row: Any) -> str:
        return row.portfolio_name or (str(row.scope_id) if row.scope_id else "everything")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        if obj is None:
            return [
                (None, {"fields": ["scope", "portfolio"]}),
                ("Limits", {
                    "fields": list(LIMIT_NAMES),
                    "description": "A limit that no scope sets means no trade, never “unlimited”.",
                }),
            ]  # fmt: skip
        limits = [presented(LimitSet, name) for name in LIMIT_NAMES]
        return [
            (None, {"fields": ["scope", "of", "version", "created_by", presented(LimitSet, "created_at")]}),
            ("Approval", {"fields": [approval, "decided_by", presented(LimitSet, "decided_at")]}),
            ("Limits", {"fields": limits}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [] if obj is None else ["of", "version", "created_by", approval, "decided_by"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The values in force for the scope that the address names; the platform's without one."""
        named = _uuid(request.GET.get("portfolio"))
        portfolio = Portfolio.objects.filter(pk=named).first() if named else None
        key = (Scope.PORTFOLIO, portfolio.pk) if portfolio else (Scope.PLATFORM, None)
        current = current_limit_sets([key]).get(key)
        values: dict[str, Any] = plain_limits(limit_values(current)) if current else {}
        return {"scope": key[0], "portfolio": portfolio.pk if portfolio else None, **values}

    def carry_out(self, request: HttpRequest, form: NewLimits, obj: Any) -> LimitSet:
        values: dict[str, Decimal | None] = {name: form.cleaned_data[name] for name in LIMIT_NAMES}
        portfolio = form.cleaned_data["portfolio"]
        row = set_limits(
            scope=form.cleaned_data["scope"], scope_id=portfolio.pk if portfolio else None, values=values,
            actor=actor_of(request),
        )  # fmt: skip
        if row.needs_approval:
            self.message_user(request, WAITS, messages.WARNING)
        return row

    @action(description="New version", permissions=["set_limits"], icon="edit")
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Changes nothing: it opens the form with what is in force in the same scope."""
        row = self.existing(request, object_id)
        query = {"portfolio": row.scope_id} if row.scope == Scope.PORTFOLIO else {}
        return HttpResponseRedirect(f"{reverse('admin:portfolios_limitset_add')}?{urlencode(query)}")

    @action(
        description="Approve", permissions=["set_limits"], icon="check", url_path="approve",
        dialog=approve_dialog(),
    )  # fmt: skip
    def approve(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, approve_limits, "Approved: these limits are in force.")

    @action(
        description="Reject", permissions=["set_limits"], icon="close", url_path="reject", dialog=reject_dialog()
    )  # fmt: skip
    def reject(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, reject_limits, "Rejected: these limits never take effect.")

    def _decide(self, request: HttpRequest, object_id: str, service: Any, done: str) -> HttpResponse:
        row = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: service(limit_set_id=row.pk, actor=actor_of(request)), done=done
        )


def _uuid(text: str | None) -> str | None:
    """The text if a UUID field can be asked for it."""
    field = LimitSet._meta.get_field("id")
    try:
        return str(field.to_python(text)) if text else None
    except forms.ValidationError:
        return None
