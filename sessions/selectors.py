import uuid
from datetime import datetime

from django.db.models import QuerySet

from foundation.loading import load_where
from portfolios.selectors import AnyUser, visible_portfolios
from sessions.models import TradingSession

ACTIVE_SESSIONS_MAX = 1_000
EVALUATED = (TradingSession.Status.ACTIVE, TradingSession.Status.PAUSED)


def get_active_sessions(
    *, after: uuid.UUID | None = None, count_max: int = ACTIVE_SESSIONS_MAX
) -> list[TradingSession]:
    """Sessions that trade now, on all portfolios, by id; at most `count_max`.

    There may be a hundred thousand: the next page is that `after` the last id of this one.
    """
    rows = TradingSession.objects.filter(status=TradingSession.Status.ACTIVE)
    if after is not None:
        rows = rows.filter(id__gt=after)
    return list(rows.select_related("portfolio").order_by("id")[:count_max])


def visible_sessions(user: AnyUser) -> QuerySet[TradingSession]:
    """Sessions of the portfolios that the user is a member of."""
    return TradingSession.objects.filter(portfolio__in=visible_portfolios(user)).select_related("portfolio")


def sessions_to_evaluate(slice_id: int) -> list[TradingSession]:
    """The slice's sessions whose rules run: active ones, and paused ones for their exits.

    In the order in which their portfolios are locked.
    """
    return load_where(
        TradingSession,
        "t.slice_id = %s AND t.status = ANY(%s) ORDER BY t.portfolio_id",
        [slice_id, [status.value for status in EVALUATED]],
    )


def ended_sessions(*, now: datetime, count_max: int) -> list[uuid.UUID]:
    """Those whose end time is reached at this market time and that are not stopping yet, the oldest end first."""
    rows = TradingSession.objects.filter(status__in=EVALUATED, ends_at__lte=now)
    return list(rows.order_by("ends_at", "id").values_list("id", flat=True)[:count_max])
