import math
import uuid
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from foundation.loading import load_where
from market.core.calendar import TradingDay
from market.models import CalendarDay
from portfolios.selectors import AnyUser, visible_portfolios
from rules.core.fields import WEEKDAYS
from sessions.core.plan import MINUTES_MAX
from sessions.models import SessionPlan, TradingSession

_MINUTE = timedelta(minutes=1)
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


def visible_plans(user: AnyUser) -> QuerySet[SessionPlan]:
    """Plans of the portfolios that the user is a member of."""
    rows = SessionPlan.objects.filter(portfolio__in=visible_portfolios(user))
    return rows.select_related("portfolio", "responsible")


def due_plans(*, now: datetime, count_max: int) -> list[tuple[uuid.UUID, TradingDay]]:
    """Enabled plans that have decided nothing yet on a day whose hours are on at this market time, with that day.

    One query for the days around now (a few of each exchange), one more for each of them. In no order: those that wait
    for a session to end must not always come before the others.
    """
    reach = timedelta(minutes=MINUTES_MAX)
    exchanges = SessionPlan.objects.filter(is_enabled=True).values("exchange_id")
    days = CalendarDay.objects.filter(
        exchange_id__in=exchanges, opens_at__lte=now + reach, closes_at__gt=now - reach
    )
    due: list[tuple[uuid.UUID, TradingDay]] = []
    for row in days.order_by("day", "exchange_id"):
        to_open, from_close = (row.opens_at - now) / _MINUTE, (now - row.closes_at) / _MINUTE
        weekday = WEEKDAYS[row.day.weekday()]
        plans = SessionPlan.objects.filter(
            Q(last_day=None) | Q(last_day__lt=row.day),
            Q(weekdays=[]) | Q(weekdays__contains=[weekday]),
            exchange_id=row.exchange_id,
            is_enabled=True,
            start_minutes_before_open__gte=math.ceil(to_open),
            stop_minutes_after_close__gt=math.floor(from_close),
        )
        day = TradingDay(row.day, row.opens_at, row.closes_at)
        found = plans.order_by("?").values_list("id", flat=True)[: count_max - len(due)]
        due += [(identity, day) for identity in found]
    return due
