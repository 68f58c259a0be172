"""A portfolio: made here, its members let in here, money moved here; its rows are written by services only."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import presented, shown_number
from foundation.core.money import CENT
from portfolios.core.access import Action
from portfolios.models import Member, Portfolio
from portfolios.services.portfolios import (
    create_portfolio,
    deposit,
    remove_member,
    set_four_eyes,
    set_member,
    withdraw,
)

User = get_user_model()
MONEY = ("cash", "reserved_cash", "realised_pnl")
# Pages further up the house, by their URL names.
ELSEWHERE = (
    ("Rules", "admin:rules_tradingrule_changelist", "portfolio__id__exact"),
    ("Sessions", "admin:trading_sessions_tradingsession_changelist", "portfolio__id__exact"),
    ("Trades", "admin:trading_autotrade_changelist", "portfolio__id__exact"),
    ("Decisions", "admin:trading_decision_changelist", "portfolio__id__exact"),
    ("Positions", "admin:portfolios_position_changelist", "portfolio__id__exact"),
    ("Ledger", "admin:portfolios_ledgertransfer_changelist", "portfolio__id__exact"),
    ("Limits", "admin:portfolios_limitset_changelist", "q"),
    ("Permissions", "admin:portfolios_instrumentpermission_changelist", "portfolio__id__exact"),
    ("Journal", "admin:journal_entry_changelist", "stream__id__exact"),
)


class NewPortfolio(ServiceForm):
    owner = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True),
        widget=UnfoldAdminSelectWidget(),
        help_text="The first member; others are let in afterwards.",
    )

    class Meta:
        model = Portfolio
        fields = ("name", "base_currency")


class MemberForm(forms.ModelForm):
    """The user of a membership is fixed; its role is not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and "user" in self.fields:
            self.fields["user"].disabled = True


class MemberInline(TabularInline):
    model = Member
    form = MemberForm
    extra = 0
    fields = ("user", "role")
    ordering = ("user__username",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        return super().get_queryset(request).select_related("user")


class MoneyForm(BaseDialogForm):
    amount = forms.DecimalField(
        min_value=CENT,
        max_digits=14,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="In the portfolio's currency, in whole cents.",
    )
    memo = forms.CharField(max_length=255, required=False, widget=UnfoldAdminTextInputWidget())


def _dialog(title: str, description: str, form_class: type[MoneyForm] | None = MoneyForm) -> dict[str, Any]:
    return {"title": title, "description": description, "form_class": form_class, "form_submit_text": title}


@admin.register(Portfolio)
class PortfolioAdmin(ServiceAdmin):
    form = NewPortfolio
    list_display = ("name", "base_currency", *MONEY, "created_at")
    search_fields = ("name", "id__exact")
    ordering = ("name", "id")
    inlines = (MemberInline,)
    actions_detail = (
        "why",
        "set_limits",
        "deposit_cash",
        "withdraw_cash",
        "ask_for_four_eyes",
        "end_four_eyes",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        if obj is None:
            return [(None, {"fields": ["name", "base_currency", "owner"]})]
        money = [presented(Portfolio, name) for name in MONEY]
        return [
            (
                None,
                {"fields": ["name", "id", "base_currency", presented(Portfolio, "created_at"), "elsewhere"]},
            ),
            ("Money", {"fields": [*money, "free_cash"]}),
            ("Changes", {"fields": ["four_eyes"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return []
        return [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The owner is asked for once; after that there are members."""
        if obj is not None:
            kwargs["form"] = ServiceForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[type[MemberInline], ...]:
        return self.inlines if obj is not None else ()

    @display(description="free cash")
    def free_cash(self, portfolio: Portfolio) -> str:
        return shown_number(portfolio.cash - portfolio.reserved_cash)

    @display(description="see also")
    def elsewhere(self, portfolio: Portfolio) -> SafeString:
        links = ((f"{reverse(name)}?{key}={portfolio.pk}", text) for text, name, key in ELSEWHERE)
        return format_html_join(" · ", '<a class="plain-link" href="{}">{}</a>', links)

    def carry_out(self, request: HttpRequest, form: Any, obj: Portfolio | None) -> Portfolio:
        if obj is not None:
            return obj  # only its members can be changed
        given = form.cleaned_data
        return create_portfolio(
            name=given["name"], owner=given["owner"], base_currency=given["base_currency"].upper()
        )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for member in formset.save(commit=False):
            set_member(portfolio=form.instance, user=member.user, role=member.role, actor=actor_of(request))
        for member in formset.deleted_objects:
            remove_member(portfolio=form.instance, user=member.user, actor=actor_of(request))

    @action(description="Why (not)?", permissions=["question"], icon="help")
    def why(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.lead_to("trading_why", self.existing(request, object_id).pk)

    @action(description="Set limits", permissions=["set_limits"], icon="tune")
    def set_limits(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Changes nothing: it opens the form with this portfolio's limits."""
        portfolio = self.existing(request, object_id)
        return HttpResponseRedirect(f"{reverse('admin:portfolios_limitset_add')}?portfolio={portfolio.pk}")

    @action(
        description="Deposit", permissions=["operate"], icon="add_card", url_path="deposit",
        dialog=_dialog("Deposit", "Money comes in: cash against capital."),
    )  # fmt: skip
    def deposit_cash(self, request: HttpRequest, form: MoneyForm, object_id: str) -> HttpResponse:
        return self._move(request, object_id, form, deposit, "deposited")

    @action(
        description="Withdraw", permissions=["operate"], icon="payments", url_path="withdraw",
        dialog=_dialog("Withdraw", "Money goes out, at most the free cash."),
    )  # fmt: skip
    def withdraw_cash(self, request: HttpRequest, form: MoneyForm, object_id: str) -> HttpResponse:
        return self._move(request, object_id, form, withdraw, "withdrawn")

    def _move(
        self, request: HttpRequest, object_id: str, form: MoneyForm, service: Any, done: str
    ) -> HttpResponse:
        portfolio, amount = self.existing(request, object_id), form.cleaned_data["amount"]

        def run() -> None:
            service(
                portfolio_id=portfolio.pk, amount=amount, actor=actor_of(request), memo=form.cleaned_data["memo"]
            )  # fmt: skip

        return self.run_dialog(
            request, object_id, run, action=Action.MOVE_CASH, portfolio_id=portfolio.pk,
            done=f"{shown_number(amount)} {done}.",
        )  # fmt: skip

    @action(
        description="Ask for four eyes", permissions=["operate"], icon="group", url_path="ask-for-four-eyes",
        dialog=_dialog("Ask for four eyes", "Changes of rules and limits wait for a second person's approval.", None),
    )  # fmt: skip
    def ask_for_four_eyes(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._four_eyes(request, object_id, enabled=True, done="Changes wait for a second person.")

    @action(
        description="End four eyes", permissions=["operate"], icon="person", url_path="end-four-eyes",
        dialog=_dialog("End four eyes", "Superusers only, never with a live account.", None),
    )  # fmt: skip
    def end_four_eyes(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._four_eyes(request, object_id, enabled=False, done="Changes take effect at once.")

    def _four_eyes(self, request: HttpRequest, object_id: str, *, enabled: bool, done: str) -> HttpResponse:
        portfolio = self.existing(request, object_id)

        def run() -> None:
            set_four_eyes(portfolio_id=portfolio.pk, enabled=enabled, actor=actor_of(request))

        asked = Action.SET_FOUR_EYES if enabled else Action.END_FOUR_EYES
        return self.run_dialog(request, object_id, run, action=asked, portfolio_id=portfolio.pk, done=done)
