"""Limits change by new versions: "add" starts from those in force, and an old version only shows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import badge, presented
from market.models import Instrument
from portfolios.admin.approval import WAITS, approval, approve_dialog, reject_dialog
from portfolios.core.access import Action
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import BrokerAccount, LimitSet, Portfolio
from portfolios.selectors import current_instrument_limits, current_limit_sets, limit_values
from portfolios.services.limits import approve_limits, reject_limits, set_limits

Scope = LimitSet.Scope
SCOPE_COLOURS = {
    "platform": "danger",
    "account": "warning",
    "portfolio": "primary",
    "session": "info",
    "instrument": "success",
}
# Scopes that limits are for something of, by the form's field that names it.
TARGETS = (Scope.ACCOUNT, Scope.PORTFOLIO, Scope.INSTRUMENT)


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
    """A version for any scope but a session, whose limits are set on its page."""

    scope = forms.ChoiceField(
        choices=[(scope.value, scope.label) for scope in (Scope.PLATFORM, *TARGETS)],
        widget=UnfoldAdminSelectWidget(),
        help_text="Limits hold together: the tightest of platform, account, portfolio, session and instrument wins.",
    )
    account = ModelChoiceField(
        queryset=BrokerAccount.objects.select_related("portfolio").order_by("portfolio__name"),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="For a broker account's limits.",
    )
    portfolio = ModelChoiceField(
        queryset=Portfolio.objects.all(),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="For a portfolio's limits.",
    )
    instrument = ModelChoiceField(
        queryset=Instrument.objects.all(),
        required=False,
        widget=AutocompleteSelect(LimitSet._meta.get_field("instrument"), admin.site),
        help_text="For an instrument's limits, which hold in every portfolio.",
    )

    class Meta:
        model = LimitSet
        fields = tuple(LIMIT_NAMES)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        scope = cleaned.get("scope")
        for target in TARGETS if scope else ():
            if target == scope and target in cleaned and cleaned[target] is None:
                self.add_error(target, f"Choose the {target} that the limits are for.")
            elif target != scope and cleaned.get(target) is not None:
                # the field itself is hidden while another scope is chosen
                self.add_error(
                    "scope", f"The {target} is chosen, too: take that scope, or clear it there first."
                )
        return cleaned

    def asks(self) -> tuple[Action, UUID | None]:
        """What setting them is, and in which portfolio (None: in all)."""
        scope = self.cleaned_data["scope"]
        if scope not in {Scope.ACCOUNT, Scope.PORTFOLIO}:
            return Action.LIMIT_PLATFORM, None
        row = self.cleaned_data[scope]
        return Action.SET_LIMITS, row.pk if scope == Scope.PORTFOLIO else row.portfolio_id

    def target(self) -> dict[str, Any]:
        """What the limits are for, in the words of the service."""
        scope = self.cleaned_data["scope"]
        if scope == Scope.PLATFORM:
            return {}
        row = self.cleaned_data[scope]
        if scope == Scope.INSTRUMENT:
            return {"instrument_id": row.pk}
        if scope == Scope.ACCOUNT:
            return {"scope_id": row.pk, "portfolio_id": row.portfolio_id}
        return {"scope_id": row.pk}


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
    list_filter = ("scope", "needs_approval", "approved")
    search_fields = ("scope_id__exact", "instrument__symbol__exact")
    search_help_text = "The id of an account, portfolio or session, or a symbol"
    ordering = ("-created_at",)
    conditional_fields = {target.value: f"scope == '{target}'" for target in TARGETS}
    actions_detail = ("new_version", "approve", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LimitSet]:
        """With the portfolio's name, which is no foreign key: a scope may be an account or a session too."""
        name = Portfolio.objects.filter(
            Q(pk=OuterRef("scope_id")) | Q(broker_account__pk=OuterRef("scope_id"))
        ).values("name")[:1]
        rows = super().get_queryset(request).select_related("created_by", "instrument")
        return rows.annotate(portfolio_name=Subquery(name))

    @display(description="of")
    def of(self, row: Any) -> str:
        if row.instrument is not None:
            return str(row.instrument)
        return row.portfolio_name or (str(row.scope_id) if row.scope_id else "everything")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        if obj is None:
            return [
                (None, {"fields": ["scope", *TARGETS]}),
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
        for target in TARGETS:
            key = _key(target, request.GET.get(target))
            if key is not None:
                return {"scope": target, target: key, **_in_force(target, key)}
        return {"scope": Scope.PLATFORM, **_in_force(Scope.PLATFORM, None)}

    def carry_out(self, request: HttpRequest, form: NewLimits, obj: Any) -> LimitSet:
        values: dict[str, Decimal | None] = {name: form.cleaned_data[name] for name in LIMIT_NAMES}
        self.ask(request, *form.asks())
        row = set_limits(
            scope=form.cleaned_data["scope"], values=values, actor=actor_of(request), **form.target()
        )
        if row.needs_approval:
            self.message_user(request, WAITS, messages.WARNING)
        return row

    @action(description="New version", permissions=["set_limits"], icon="edit")
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Changes nothing: it opens the form with what is in force in the same scope."""
        row = self.existing(request, object_id)
        if row.scope == Scope.SESSION:
            page = reverse("admin:trading_sessions_tradingsession_change", args=[row.scope_id])
            return HttpResponseRedirect(page)
        query = {row.scope: row.instrument_id or row.scope_id} if row.scope in TARGETS else {}
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
            request, object_id, lambda: service(limit_set_id=row.pk, actor=actor_of(request)),
            action=None, done=done,
        )  # fmt: skip


_MODELS: Mapping[str, type[Model]] = {
    Scope.ACCOUNT: BrokerAccount,
    Scope.PORTFOLIO: Portfolio,
    Scope.INSTRUMENT: Instrument,
}


def _key(scope: str, text: str | None) -> Any:
    """The key of what the text names, if there is such a thing."""
    model = _MODELS[scope]
    try:
        key = model._meta.pk.to_python(text) if text else None
    except forms.ValidationError:
        return None
    known = key is not None and model._default_manager.filter(pk=key).exists()
    return key if known else None


def _in_force(scope: str, key: Any) -> dict[str, str]:
    if scope == Scope.INSTRUMENT:
        current = current_instrument_limits(key)
    else:
        current = current_limit_sets([(scope, key)]).get((scope, key))
    return plain_limits(limit_values(current)) if current is not None else {}
