"""What would a rule do now, and why did it not then: pages that ask the same services as the API, and write nothing.

They stand at the decisions, whose permission of Django's opens them; whose portfolio it is, the table of roles says.
The rooms below link to them by name.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.generic import TemplateView
from unfold.admin import ModelAdmin
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from foundation.admin.base import HouseAdmin, as_domain_error, fault_text
from foundation.errors import DomainError, Forbidden
from market.services import snapshots
from portfolios.core.access import Action
from portfolios.models import Portfolio
from rules.core.description import describe
from rules.models import TradingRule
from trading.admin.explained import arithmetic_table, checks_table, conditions_table, schedule_table
from trading.services.previewing import SYMBOLS_MAX, Preview, Previewed, Would, preview_rule
from trading.services.why_not import Answer, why_not
from trading.services.why_not import Question as Asked


def question_urls(page: ModelAdmin) -> list[URLPattern]:
    """For `get_urls` of the page that they belong to."""
    return [
        path(
            "preview/<uuid:rule_id>/",
            page.admin_site.admin_view(RulePreview.as_view(model_admin=page)),
            name="trading_rule_preview",
        ),
        path(
            "why/<uuid:portfolio_id>/",
            page.admin_site.admin_view(WhyNot.as_view(model_admin=page)),
            name="trading_why",
        ),
    ]


class _Question(UnfoldModelAdminViewMixin, TemplateView):
    permission_required = "trading.view_decision"
    model_admin: HouseAdmin

    def require_view(self, portfolio_id: UUID) -> None:
        """Raises PermissionDenied where the table of roles does not let him look into this portfolio."""
        try:
            self.model_admin.ask(self.request, Action.VIEW, portfolio_id)
        except Forbidden as error:
            raise PermissionDenied(error.detail) from error


class PreviewForm(forms.Form):
    symbols = forms.CharField(
        required=False, max_length=1000, widget=UnfoldAdminTextInputWidget(),
        help_text=f"At most {SYMBOLS_MAX}, separated by commas. None: where it is true, what is held, and others.",
    )  # fmt: skip
    version = forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, widget=UnfoldAdminIntegerFieldWidget(),
        help_text="As one that waits for approval. None: what is in force.",
    )  # fmt: skip

    def clean_symbols(self) -> list[str]:
        return [symbol for symbol in self.cleaned_data["symbols"].replace(",", " ").split() if symbol]


class RulePreview(_Question):
    title = "What would it do now?"
    template_name = "trading/preview.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rule = get_object_or_404(TradingRule.objects.select_related("portfolio"), pk=kwargs["rule_id"])
        self.require_view(rule.portfolio_id)
        form = PreviewForm(self.request.GET)
        seen = None
        if form.is_valid():
            try:
                seen = preview_rule(rule_id=rule.pk, **form.cleaned_data)
            except (DomainError, OperationalError) as error:
                _show_refusal(form, as_domain_error(error))
        told = None if seen is None else _previewed(seen)
        return super().get_context_data(rule=rule, form=form, seen=seen, told=told)


def _previewed(seen: Preview) -> dict[str, Any]:
    return {
        "description": describe(seen.version.content()),
        "symbols": [_symbol(each) for each in seen.symbols],
    }


def _symbol(each: Previewed) -> dict[str, Any]:
    return {
        "symbol": each.symbol or "the portfolio as a whole",
        "outcome": each.explanation.get("outcome"),
        "conditions": conditions_table(each.explanation),
        "schedule": schedule_table(each.explanation) if each.explanation.get("schedule") else "",
        "would": [_would(would) for would in each.would],
    }


def _would(would: Would) -> dict[str, Any]:
    order = would.order
    return {
        "would": would,
        "order": "" if order is None else str(order),
        "beaten_by": (would.outranked_by or {}).get("rule_name", ""),
        "arithmetic": arithmetic_table(would.sizing) if would.sizing else "",
        "checks": checks_table(would.checks) if would.checks else "",
    }


class WhyForm(forms.Form):
    """When it was, of which rule, and of which symbol."""

    rule = forms.ModelChoiceField(queryset=TradingRule.objects.none(), widget=UnfoldAdminSelectWidget())
    symbol = forms.CharField(
        required=False, max_length=32, widget=UnfoldAdminTextInputWidget(),
        help_text="Not needed for a rule about the portfolio as a whole.",
    )  # fmt: skip
    at = forms.DateTimeField(
        required=False, widget=UnfoldAdminTextInputWidget(),
        help_text="Market time in UTC, as 2026-11-30 14:32; the newest snapshot of then counts.",
    )  # fmt: skip
    slot = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Or a snapshot's version, as decisions and trades name it.",
    )  # fmt: skip

    def __init__(self, portfolio: Portfolio, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen: Any = self.fields["rule"]
        chosen.queryset = TradingRule.objects.filter(portfolio=portfolio).order_by("name", "created_at")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and (cleaned["at"] is None) == (cleaned["slot"] is None):
            self.add_error("at", "Give either a time or a slot, one of them.")
        return cleaned


class WhyNot(_Question):
    title = "Why did it, or why did it not?"
    template_name = "trading/why.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        portfolio = get_object_or_404(Portfolio, pk=kwargs["portfolio_id"])
        self.require_view(portfolio.pk)
        form, answer = self._asked(portfolio)
        told = None if answer is None else _answered(answer)
        return super().get_context_data(portfolio=portfolio, form=form, answer=answer, told=told)

    def _asked(self, portfolio: Portfolio) -> tuple[WhyForm, Answer | None]:
        """Nothing is asked before there is a moment: a link may have chosen the rule."""
        given = self.request.GET
        if not (given.get("at") or given.get("slot")):
            newest = snapshots.current()
            slot = newest.version if newest is not None else None
            return WhyForm(portfolio, initial={"slot": slot, "rule": given.get("rule")}), None
        form = WhyForm(portfolio, given)
        if form.is_valid():
            asked = form.cleaned_data | {"symbol": form.cleaned_data["symbol"] or None}
            try:
                return form, why_not(Asked(portfolio, **asked))
            except (DomainError, OperationalError) as error:
                _show_refusal(form, as_domain_error(error))
        return form, None


def _answered(answer: Answer) -> dict[str, Any]:
    explanation: Mapping[str, Any] = answer.explanation or {}
    return {
        "description": describe(answer.version.content()) if answer.version is not None else "",
        "conditions": conditions_table(explanation) if explanation else "",
        "schedule": schedule_table(explanation) if explanation.get("schedule") else "",
        "facts": arithmetic_table(answer.facts),
    }


def _show_refusal(form: forms.Form, refusal: DomainError) -> None:
    """What the service refused, at the field that the path begins with."""
    for fault in refusal.errors or [{"path": "", "message": refusal.detail}]:
        name = str(fault.get("path") or "").partition("[")[0].partition(".")[0]
        form.add_error(name if name in form.fields else None, fault_text(fault))
