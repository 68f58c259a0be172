"""The equity curve of a session: its portfolio's, while it ran."""

from django.db.models import QuerySet

from portfolios.models import EquityPoint
from sessions.models import TradingSession


def equity_points_of(trading_session: TradingSession) -> QuerySet[EquityPoint]:
    """From the point that it began with to the one that it ended with; the others of its portfolio are not its own.

    By database time, which sessions begin and end by; so that of two sessions at one market time each has its points.
    """
    rows = EquityPoint.objects.filter(
        portfolio_id=trading_session.portfolio_id, noted_at__gte=trading_session.start_time
    )
    if trading_session.end_time is not None:
        rows = rows.filter(noted_at__lte=trading_session.end_time)
    return rows


def last_of_each_day(points: QuerySet[EquityPoint]) -> QuerySet[EquityPoint]:
    """By UTC days of market time."""
    newest = points.order_by("at__date", "-at", "-id").distinct("at__date")
    return EquityPoint.objects.filter(pk__in=newest.values("pk"))
