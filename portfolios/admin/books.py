"""The books, read-only: trading and the portfolio's own actions write them."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from foundation.admin.base import LongListAdmin
from foundation.admin.presentation import badge, shown_number
from portfolios.models import CorporateActionBooking, EquityPoint, LedgerTransfer, Position, Reservation

KIND_COLOURS = {
    "deposit": "success",
    "withdrawal": "warning",
    "fill": "info",
    "fee": "primary",
    "dividend": "success",
    "split": "info",
    "cash_in_lieu": "info",
    "reversal": "danger",
}
BY_PORTFOLIO = ("portfolio", AutocompleteSelectFilter)


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
        "cost",
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


@admin.register(CorporateActionBooking)
class CorporateActionBookingAdmin(LongListAdmin):
    """What a corporate action was to each portfolio; one without a time of booking waits."""

    list_display = (
        "action",
        "portfolio",
        "quantity",
        "booked_at",
        "waiting_for",
        "realised_pnl",
        "reversed_at",
    )
    list_select_related = ("action__instrument", "portfolio")
    list_filter = (BY_PORTFOLIO, ("booked_at", admin.EmptyFieldListFilter))
    search_fields = ("action__external_id__exact", "entry_id__exact")
    search_help_text = "The action's own id, or an entry of the ledger"
    ordering = ("-id",)


@admin.register(EquityPoint)
class EquityPointAdmin(LongListAdmin):
    """What portfolios were worth; one without an interval lies beside the cadence."""

    list_display = ("at", "portfolio", "equity", "cash", "exposure", "cost", "paid_in", "bucket", "noted_at")
    list_select_related = ("portfolio",)
    list_filter = (BY_PORTFOLIO,)
    ordering = ("-id",)
    fields = ("portfolio", "at", "equity", "cash", "exposure", "cost", "paid_in", "bucket", "noted_at")

    @display(description="equity")
    def equity(self, point: EquityPoint) -> str:
        return shown_number(point.equity)
