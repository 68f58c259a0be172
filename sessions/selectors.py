from django.db.models import QuerySet

from foundation.loading import load_where
from portfolios.selectors import AnyUser, visible_portfolios
from sessions.models import TradingSession


def get_active_sessions() -> QuerySet[TradingSession]:
    """Every session that trades now, on all portfolios."""
    return TradingSession.objects.filter(status=TradingSession.Status.ACTIVE).select_related("portfolio")


def visible_sessions(user: AnyUser) -> QuerySet[TradingSession]:
    """Sessions of the portfolios that the user is a member of."""
    return TradingSession.objects.filter(portfolio__in=visible_portfolios(user)).select_related("portfolio")


def sessions_to_evaluate(slice_id: int) -> list[TradingSession]:
    """The slice's sessions whose rules run: active ones, and paused ones for their exits.

    In the order in which their portfolios are locked.
    """
    statuses = (TradingSession.Status.ACTIVE, TradingSession.Status.PAUSED)
    return load_where(
        TradingSession,
        "t.slice_id = %s AND t.status = ANY(%s) ORDER BY t.portfolio_id",
        [slice_id, [status.value for status in statuses]],
    )
