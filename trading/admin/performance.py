"""How sessions do: their figures, and their equity curve as a picture."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from foundation.admin.base import LongListAdmin
from foundation.admin.presentation import EMPTY, badge, shown_moment, shown_number
from portfolios.models import EquityPoint
from trading.models import SessionPerformance
from trading.selectors.equity import equity_points_of
from trading.services.performance import get_session_performance

STATUS_COLOURS = {"active": "success", "paused": "warning", "stopping": "danger", "stopped": "info"}
WIDTH, HEIGHT = 800, 200
# More than the picture has room for.
POINTS_MAX = 2_000


@admin.register(SessionPerformance)
class SessionPerformanceAdmin(LongListAdmin):
    list_display = (
        "__str__", "portfolio", badge("status", STATUS_COLOURS), "start_time", "end_time", "total_trades",
        "successful_trades", "total_pnl",
    )  # fmt: skip
    list_select_related = ("portfolio",)
    list_filter = ("status", ("portfolio", AutocompleteSelectFilter))
    search_fields = ("session_name", "portfolio__name", "id__exact")
    ordering = ("-start_time",)
    fields = ("the_session", "portfolio", "status", "start_time", "end_time", "figures", "equity")

    @display(description="session")
    def the_session(self, row: SessionPerformance) -> SafeString:
        url = reverse("admin:trading_sessions_tradingsession_change", args=[row.pk])
        return format_html('<a class="plain-link" href="{}">{}</a>', url, row)

    @display(description="figures")
    def figures(self, row: SessionPerformance) -> SafeString:
        told = get_session_performance(row.pk)
        rows = [
            (name.replace("_", " "), _shown(value)) for name, value in told.items() if name != "session_id"
        ]
        return render_to_string("trading/arithmetic.html", {"rows": rows})

    @display(description="equity")
    def equity(self, row: SessionPerformance) -> SafeString | str:
        newest = equity_points_of(row).order_by("-at", "-id")[:POINTS_MAX]
        return equity_picture(list(reversed(newest)))


def _shown(value: Any) -> SafeString | str:
    if value is None:
        return EMPTY
    return shown_number(Decimal(value)) if isinstance(value, int | Decimal) else shown_moment(value)


def equity_picture(points: Sequence[EquityPoint]) -> SafeString | str:
    """Equity over market time, with what was paid in for comparison; nothing below two points."""
    if len(points) < 2:
        return EMPTY
    first, last = points[0].at, points[-1].at
    worth = [float(point.equity) for point in points]
    paid_in = [float(point.paid_in) for point in points]
    low, high = min(worth), max(worth)
    seconds, span = (last - first).total_seconds() or 1.0, (high - low) or 1.0

    def line(values: Sequence[float]) -> str:
        places = (
            ((point.at - first).total_seconds() / seconds * WIDTH, HEIGHT - (value - low) / span * HEIGHT)
            for point, value in zip(points, values, strict=True)
        )
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    return render_to_string(
        "trading/equity.html",
        {
            "width": WIDTH, "height": HEIGHT, "equity": line(worth), "paid_in": line(paid_in), "first": first,
            "last": last, "low": shown_number(Decimal(repr(low))), "high": shown_number(Decimal(repr(high))),
        },
    )  # fmt: skip
