"""The books, read-only: trading and the portfolio's own actions write them."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from foundation.admin.base import LongListAdmin, ReadOnlyAdmin
from foundation.admin.presentation import badge
from portfolios.models import BrokerAccount, LedgerTransfer, Position, Reservation

KIND_COLOURS = {
    "deposit": "success",
    "withdrawal": "warning",
    "fill": "info",
    "fee": "primary",
    "reversal": "danger",
}
BY_PORTFOLIO = ("portfolio", AutocompleteSelectFilter)


@admin.register(BrokerAccount)
class BrokerAccountAdmin(ReadOnlyAdmin):
    list_display = ("portfolio", "broker", "is_live", "fee_bps", "fee_minimum", "slippage_bps", "created_at")
    list_select_related = ("portfolio",)
    list_filter = ("broker", "is_live")
    search_fields = ("portfolio__name",)
    ordering = ("portfolio__name",)


@admin.register(LedgerTransfer)
class LedgerTransferAdmin(LongListAdmin):
    list_display = (
        "id",
        "created_at",
        "portfolio",
        badge("kind", KIND_COLOURS),
        "credit_account",
        "debit_account",
        "amount",
        "asset",
        "market_at",
        "memo",
    )
    list_select_related = ("portfolio",)
    list_filter = (BY_PORTFOLIO, "kind")
    search_fields = ("entry_id__exact", "owner_id__exact")
    search_help_text = "The id of a business event or of a trade"
    ordering = ("-id",)


@admin.register(Position)
class PositionAdmin(LongListAdmin):
    list_display = (
        "portfolio",
        "instrument",
        "quantity",
        "reserved_quantity",
        "average_cost",
        "realised_pnl",
        "opened_at",
    )
    list_select_related = ("portfolio", "instrument")
    list_filter = (BY_PORTFOLIO, ("instrument", AutocompleteSelectFilter))
    search_fields = ("instrument__symbol", "portfolio__name")
    ordering = ("portfolio_id", "instrument_id")


@admin.register(Reservation)
class ReservationAdmin(LongListAdmin):
    list_display = ("owner_id", "portfolio", "instrument", "cash", "quantity", "created_at")
    list_select_related = ("portfolio", "instrument")
    list_filter = (BY_PORTFOLIO,)
    ordering = ("-created_at",)
