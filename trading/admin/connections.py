"""Broker accounts, with what the portfolios' room cannot do: it knows no broker."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from foundation.admin.base import actor_of
from portfolios.admin.accounts import BrokerAccountAdmin
from portfolios.models import BrokerAccount
from trading.services.connecting import CONNECTABLE, connect_account, disconnect_account


class KeysForm(BaseDialogForm):
    """The secret is masked, and no value of it is ever sent back."""

    broker = forms.ChoiceField(
        choices=[(name.value, name.label) for name in CONNECTABLE], widget=UnfoldAdminSelectWidget()
    )
    is_live = forms.BooleanField(
        required=False, label="Real money", widget=UnfoldBooleanSwitchWidget(), help_text="Only staff."
    )
    key_id = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}))
    secret = forms.CharField(
        max_length=128,
        strip=False,
        widget=UnfoldAdminPasswordWidget(render_value=False, attrs={"autocomplete": "new-password"}),
    )


admin.site.unregister(BrokerAccount)


@admin.register(BrokerAccount)
class ConnectedAccountAdmin(BrokerAccountAdmin):
    actions_detail = ("connect_broker", "disconnect_broker")

    @action(
        description="Connect", permissions=["operate"], icon="link", url_path="connect",
        dialog={"title": "Connect", "form_class": KeysForm, "form_submit_text": "Connect",
                "description": "The keys are tried first. Neither side may hold anything or have orders; the "
                               "portfolio's cash becomes the account's. For the account that is connected already "
                               "only its keys are replaced."},
    )  # fmt: skip
    def connect_broker(self, request: HttpRequest, form: KeysForm, object_id: str) -> HttpResponse:
        account = self.existing(request, object_id)

        def run() -> None:
            connect_account(
                portfolio_id=account.portfolio_id, actor=actor_of(request),
                **{name: form.cleaned_data[name] for name in ("broker", "is_live", "key_id", "secret")},
            )  # fmt: skip

        return self.run_dialog(request, object_id, run, action=None, done="The account is connected.")

    @action(
        description="Disconnect", permissions=["operate"], icon="link_off", url_path="disconnect",
        dialog={"title": "Disconnect", "form_class": None, "form_submit_text": "Disconnect",
                "description": "The keys are forgotten, and the portfolio trades on paper."},
    )  # fmt: skip
    def disconnect_broker(self, request: HttpRequest, form: object, object_id: str) -> HttpResponse:
        account = self.existing(request, object_id)
        return self.run_dialog(
            request,
            object_id,
            lambda: disconnect_account(portfolio_id=account.portfolio_id, actor=actor_of(request)),
            action=None,
            done="The account trades on paper.",
        )
