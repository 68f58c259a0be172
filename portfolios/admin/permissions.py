"""Which instruments may be bought: two lists, replaced as a whole, of the platform or of a portfolio."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from foundation.admin.base import ReadOnlyAdmin, ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import badge
from portfolios.admin.approval import WAITS, approval, approve_dialog, reject_dialog
from portfolios.core.access import Action
from portfolios.models import InstrumentPermission, InstrumentPermissionProposal, Portfolio
from portfolios.selectors import permission_lists
from portfolios.services.permissions import (
    approve_permissions,
    reject_permissions,
    set_instrument_permissions,
)

KIND_COLOURS = {"permitted": "success", "restricted": "danger"}
PLATFORM, PORTFOLIO = "platform", "portfolio"


class ListsForm(ServiceForm):
    """Both lists of one scope, as text."""

    scope = forms.ChoiceField(
        choices=[(PLATFORM, "Platform"), (PORTFOLIO, "Portfolio")],
        widget=UnfoldAdminSelectWidget(),
        help_text="The platform's lists hold in every portfolio, besides the portfolio's own.",
    )
    permitted = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="Symbols, separated by spaces or commas: only these may be bought. Empty: all but the restricted.",
    )
    restricted = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text='These may not be bought: one in a line, as "XOM: the reason". What is held may always be sold.',
    )

    class Meta:
        model = InstrumentPermission
        fields = ("portfolio",)

    def clean_permitted(self) -> list[str]:
        return str(self.cleaned_data["permitted"]).replace(",", " ").split()

    def clean_restricted(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in str(self.cleaned_data["restricted"]).splitlines():
            symbol, _, reason = (part.strip() for part in line.partition(":"))
            if symbol in found:
                raise forms.ValidationError(f"{symbol} stands twice: keep one of the two lines.")
            if symbol:
                found[symbol] = reason
            elif reason:
                raise forms.ValidationError(f"Write the symbol before {line.strip()!r}.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        scope, portfolio = cleaned.get("scope"), cleaned.get("portfolio")
        if scope == PORTFOLIO and portfolio is None and "portfolio" not in self.errors:
            self.add_error("portfolio", "Choose the portfolio that the lists are for.")
        if scope == PLATFORM and portfolio is not None:
            # the field itself is hidden while the platform is chosen
            self.add_error("scope", "The portfolio is chosen, too: take that scope, or clear it there first.")
        return cleaned


@admin.register(InstrumentPermission)
class InstrumentPermissionAdmin(ServiceAdmin):
    form = ListsForm
    list_display = ("instrument", badge("kind", KIND_COLOURS), "of", "reason", "created_by", "created_at")
    list_filter = ("kind", ("portfolio", AutocompleteSelectFilter), ("instrument", AutocompleteSelectFilter))
    search_fields = ("instrument__symbol__exact",)
    search_help_text = "A symbol"
    autocomplete_fields = ("portfolio",)
    ordering = ("portfolio", "instrument__symbol")
    conditional_fields: ClassVar[dict[str, str]] = {"portfolio": f"scope == '{PORTFOLIO}'"}
    actions_detail = ("edit_lists",)

    @admin.display(description="of")
    def of(self, row: InstrumentPermission) -> str:
        return str(row.portfolio or "everything")

    def get_queryset(self, request: HttpRequest) -> QuerySet[InstrumentPermission]:
        related = ("instrument", "portfolio", "created_by")
        return super().get_queryset(request).select_related(*related)

    def has_set_lists_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["scope", "portfolio", "permitted", "restricted"] if obj is None else self.shown_fields()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The lists in force for the portfolio that the address names; the platform's without one."""
        portfolio = _named(request.GET.get("portfolio"))
        lists = permission_lists(portfolio.pk if portfolio else None)
        return {
            "scope": PORTFOLIO if portfolio else PLATFORM,
            "portfolio": portfolio.pk if portfolio else None,
            "permitted": " ".join(lists["permitted"]),
            "restricted": "\n".join(f"{symbol}: {reason}" for symbol, reason in lists["restricted"].items()),
        }

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """No row is saved here: lists are, which may even be empty now."""
        given = form.cleaned_data
        portfolio_id = given["portfolio"].pk if given["portfolio"] else None
        self.ask(request, Action.SET_PERMISSIONS if portfolio_id else Action.PERMIT_PLATFORM, portfolio_id)
        row = set_instrument_permissions(
            portfolio_id=portfolio_id, permitted=given["permitted"],
            restricted=given["restricted"], actor=actor_of(request),
        )  # fmt: skip
        request.waits = row.needs_approval  # type: ignore[attr-defined]

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The journal has it."""

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if request.waits:  # type: ignore[attr-defined]
            self.message_user(request, WAITS, messages.WARNING)
        else:
            self.message_user(request, "The lists are set.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:portfolios_instrumentpermission_changelist"))

    @action(description="Edit the lists", permissions=["set_lists"], icon="edit")
    def edit_lists(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Changes nothing: it opens the form with what is in force for the same portfolio, or the platform."""
        row = self.existing(request, object_id)
        query = {"portfolio": row.portfolio_id} if row.portfolio_id else {}
        page = reverse("admin:portfolios_instrumentpermission_add")
        return HttpResponseRedirect(f"{page}?{urlencode(query)}")


@admin.register(InstrumentPermissionProposal)
class InstrumentPermissionProposalAdmin(ReadOnlyAdmin):
    """What was asked for, version by version; approved or rejected here."""

    list_display = ("of", "version", approval, "created_by", "created_at")
    list_display_links = ("version",)
    list_select_related = ("portfolio", "created_by")
    list_filter = ("needs_approval", "approved", ("portfolio", AutocompleteSelectFilter))
    ordering = ("-created_at",)
    fields = (
        "portfolio", "version", "permitted", "restricted", "created_by", "created_at", approval, "decided_by",
        "decided_at",
    )  # fmt: skip
    actions_detail = ("approve", "reject")

    @admin.display(description="of")
    def of(self, row: InstrumentPermissionProposal) -> str:
        return str(row.portfolio or "everything")

    def has_set_lists_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("portfolios.add_instrumentpermission"))

    @action(
        description="Approve", permissions=["set_lists"], icon="check", url_path="approve",
        dialog=approve_dialog(),
    )  # fmt: skip
    def approve(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, approve_permissions, "Approved: these lists are in force.")

    @action(
        description="Reject", permissions=["set_lists"], icon="close", url_path="reject", dialog=reject_dialog()
    )  # fmt: skip
    def reject(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(
            request, object_id, reject_permissions, "Rejected: these lists never take effect."
        )

    def _decide(self, request: HttpRequest, object_id: str, service: Any, done: str) -> HttpResponse:
        row = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: service(proposal_id=row.pk, actor=actor_of(request)),
            action=None, done=done,
        )  # fmt: skip


def _named(text: str | None) -> Portfolio | None:
    try:
        key = Portfolio._meta.pk.to_python(text) if text else None
    except forms.ValidationError:
        return None
    return Portfolio.objects.filter(pk=key).first() if key else None
