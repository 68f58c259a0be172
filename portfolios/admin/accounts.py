"""Broker accounts: what the paper market does to a paper account is set here; a real broker's is only shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from foundation.admin.base import ServiceAdmin, ServiceForm, actor_of
from foundation.admin.presentation import presented
from portfolios.core.access import Action
from portfolios.core.paper_market import SETTINGS
from portfolios.models import BrokerAccount
from portfolios.services.paper_market import set_paper_market

MARKET = tuple(setting.name for setting in SETTINGS)
SHOWN = ("portfolio", "broker", "is_live", "account_number", "created_at")


class PaperMarketForm(ServiceForm):
    """Each field says its unit and range; the service judges them."""

    class Meta:
        model = BrokerAccount
        fields = MARKET

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for setting in SETTINGS:
            field = self.fields.get(setting.name)
            if field is not None:
                text = f"{setting.meaning} ({setting.unit}, 0 to {setting.maximum:,f})"
                field.help_text = text[0].upper() + text[1:]
                field.widget.attrs |= {"min": 0, "max": f"{setting.maximum:f}"}


@admin.register(BrokerAccount)
class BrokerAccountAdmin(ServiceAdmin):
    form = PaperMarketForm
    list_display = (
        "portfolio",
        "broker",
        "is_live",
        "fee_bps",
        "slippage_bps",
        "volume_limit_percentage",
        "created_at",
    )
    list_select_related = ("portfolio",)
    list_filter = ("broker", "is_live")
    search_fields = ("portfolio__name",)
    ordering = ("portfolio__name",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        account = [presented(BrokerAccount, name) for name in SHOWN]
        return [(None, {"fields": account}), ("Paper market", {"fields": list(MARKET)})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [presented(BrokerAccount, name) for name in SHOWN]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A real broker charges what it charges."""
        is_real = obj is not None and obj.broker != BrokerAccount.Broker.PAPER
        return super().has_change_permission(request, obj) and not is_real

    def carry_out(self, request: HttpRequest, form: Any, obj: BrokerAccount | None) -> BrokerAccount:
        assert obj is not None, "nobody adds one"
        values = {name: form.cleaned_data[name] for name in MARKET}
        self.ask(request, Action.SET_PAPER_MARKET, obj.portfolio_id)
        return set_paper_market(portfolio_id=obj.portfolio_id, values=values, actor=actor_of(request))
