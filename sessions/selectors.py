import json
import math
import uuid
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from foundation.loading import selected
from market.core.calendar import TradingDay
from market.models import CalendarDay
from portfolios.selectors import AnyUser, visible_portfolios
from rules.core.fields import WEEKDAYS
from sessions.core.config import SessionConfig, read_config
from sessions.core.plan import MINUTES_MAX
from sessions.core.universe import Universe
from sessions.models import SessionPlan, TradingSession

_MINUTE = timedelta(minutes=1)
ACTIVE_SESSIONS_MAX = 1_000
SESSIONS_KEPT_MAX = 262_144  # some 100 MB
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


@dataclass(frozen=True, slots=True)
class SessionToEvaluate:
    """What an evaluation needs to know of a session."""

    id: uuid.UUID
    portfolio_id: uuid.UUID
    slice_id: int
    status: str
    config: SessionConfig


@dataclass(frozen=True, eq=False)
class SessionGroup:
    """Sessions that are evaluated together, in the order in which their portfolios are locked, and what follows from
    them alone: it is made once, for the same group is evaluated at each tick."""

    slice_id: int
    sessions: tuple[SessionToEvaluate, ...]
    path: tuple[int, ...] = ()
    """which half of which half of the slice these are"""

    @property
    def name(self) -> Hashable:
        """Under which a process keeps what it knows of them."""
        return (self.slice_id, *self.path)

    def __len__(self) -> int:
        return len(self.sessions)

    @cached_property
    def ids(self) -> tuple[uuid.UUID, ...]:
        return tuple(row.id for row in self.sessions)

    @cached_property
    def portfolio_ids(self) -> tuple[uuid.UUID, ...]:
        return tuple(row.portfolio_id for row in self.sessions)

    @cached_property
    def session_ids(self) -> Mapping[uuid.UUID, uuid.UUID]:
        """By portfolio."""
        return {row.portfolio_id: row.id for row in self.sessions}

    @cached_property
    def by_sources(self) -> Mapping[tuple[str, ...], Sequence[SessionToEvaluate]]:
        """By the preference of recommendation sources: of each there are facts of its own."""
        found: dict[tuple[str, ...], list[SessionToEvaluate]] = {}
        for row in self.sessions:
            found.setdefault(row.config.recommendation_sources, []).append(row)
        return found

    @cached_property
    def universes(self) -> Sequence[Universe | None]:
        return [row.config.universe for row in self.sessions]

    @cached_property
    def stamp(self) -> bytes:
        """Which sessions these are, in which status."""
        return b"".join([row.id.bytes + row.status.encode() for row in self.sessions])

    def halves(self) -> "tuple[SessionGroup, SessionGroup]":
        half = len(self.sessions) // 2
        first, second = self.sessions[:half], self.sessions[half:]
        return (
            SessionGroup(self.slice_id, first, (*self.path, 0)), SessionGroup(self.slice_id, second, (*self.path, 1)),
        )  # fmt: skip


_kept: OrderedDict[int, tuple[bytes, SessionGroup]] = OrderedDict()


def sessions_to_evaluate(slice_id: int) -> SessionGroup:
    """The slice's sessions whose rules run: active ones, and paused ones for their exits.

    They are kept in the process, and read again when another session or another status is among them: a session's
    portfolio and config never change.
    """
    given = [slice_id, [status.value for status in EVALUATED]]
    ((names,),) = selected(_NAMES, given)
    if names is None:
        _kept.pop(slice_id, None)
        return SessionGroup(slice_id, ())
    kept = _kept.get(slice_id)
    if kept is None or kept[0] != names:
        rows = tuple(
            SessionToEvaluate(key, portfolio_id, slice_id, status, _config(text))
            for key, portfolio_id, status, text in selected(_WHOLE, given)
        )
        kept = names, SessionGroup(slice_id, rows)
    _kept[slice_id] = kept
    _kept.move_to_end(slice_id)
    sessions = sum(len(group) for _, group in _kept.values())
    while sessions > SESSIONS_KEPT_MAX and len(_kept) > 1:
        sessions -= len(_kept.popitem(last=False)[1][1])
    return kept[1]


_OF_SLICE = (
    "SELECT id, portfolio_id, status, config FROM trading_sessions WHERE slice_id = %s AND status = ANY(%s)"
    " ORDER BY portfolio_id"
)
_NAMES = f"SELECT string_agg(uuid_send(id) || convert_to(status, 'UTF8'), '') FROM ({_OF_SLICE}) AS t"  # noqa: S608
_WHOLE = f"SELECT id, portfolio_id, status, config::text FROM ({_OF_SLICE}) AS t"  # noqa: S608


@lru_cache(maxsize=4096)
def _config(text: str) -> SessionConfig:
    """Sessions of equal configs share one."""
    return read_config(json.loads(text))


def ended_sessions(*, now: datetime, count_max: int) -> list[uuid.UUID]:
    """Those whose end time is reached at this market time and that are not stopping yet, the oldest end first."""
    rows = TradingSession.objects.filter(status__in=EVALUATED, ends_at__lte=now)
    return list(rows.order_by("ends_at", "id").values_list("id", flat=True)[:count_max])


def stopping_sessions(*, count_max: int) -> list[uuid.UUID]:
    """Those that stop, in the order in which they are to be looked at: what was never looked at comes first."""
    rows = TradingSession.objects.filter(status=TradingSession.Status.STOPPING)
    ordered = rows.order_by(F("finish_at").asc(nulls_first=True), "start_time", "id")
    return list(ordered.values_list("id", flat=True)[:count_max])


def any_stopping_due() -> bool:
    """Whether one is to be looked at by now."""
    due = Q(finish_at=None) | Q(finish_at__lte=Now())
    return TradingSession.objects.filter(due, status=TradingSession.Status.STOPPING).exists()


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


def missed_plans(*, now: datetime, count_max: int) -> list[tuple[uuid.UUID, TradingDay]]:
    """Enabled plans that could not start on a day whose hours are over at this market time, with that day."""
    undecided = SessionPlan.objects.filter(is_enabled=True, undecided_day__isnull=False)
    missed: list[tuple[uuid.UUID, TradingDay]] = []
    days = undecided.order_by("undecided_day", "exchange_id").values_list("exchange_id", "undecided_day")
    for exchange_id, date in days.distinct():
        assert date is not None, "the filter"
        row = CalendarDay.objects.filter(exchange_id=exchange_id, day=date).first()
        if row is None:
            continue
        from_close = math.floor((now - row.closes_at) / _MINUTE)
        over = undecided.filter(
            exchange_id=exchange_id, undecided_day=date, stop_minutes_after_close__lte=from_close
        )
        day = TradingDay(row.day, row.opens_at, row.closes_at)
        found = over.order_by("id").values_list("id", flat=True)[: count_max - len(missed)]
        missed += [(identity, day) for identity in found]
    return missed
