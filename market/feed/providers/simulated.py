"""Trading in a simulated market (`market.core.simulation`) by the real calendars of its exchanges.

Every symbol that is not halted is quoted at each step of its session; at the close its bar of the day completes, and is
said BAR_WAIT later, as it is where the market is real: who decides by it is too late for that close. Half an hour
before an open and after a close an empty tick says that time went on, so that what waits for the clock is done. Market
time runs as fast as the steps are handed out, but never ahead of the clock: when it has caught up, it goes on in real
time.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import ceil

import numpy as np

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.simulation import SimulatedSymbol, Simulation, Wholes
from market.core.ticks import BarTick, QuoteTick, Tick
from market.feed.providers.base import BAR_WAIT
from market.feed.providers.pace import Pace

AROUND = timedelta(minutes=30)
WAIT_SECONDS = 1.0
"""between two looks at the clock, when the calendar has ended or market time has caught up"""


@dataclass(frozen=True, slots=True)
class SimulatedInstrument:
    """`base_price`: at the simulation's start; None: any."""

    symbol: str
    exchange: str
    sector: str
    tick_size: Decimal
    base_price: float | None = None


class SimulatedProvider:
    """The same seed, start, steps, instruments and calendars give the same ticks, wherever it is resumed."""

    name = "simulated"
    finished = False

    def __init__(
        self,
        *,
        instruments: Sequence[SimulatedInstrument],
        calendars: Mapping[str, ExchangeCalendar],
        start: date,
        seed: int,
        step_seconds: float,
        ticks_per_second: float,
        utcnow: Callable[[], datetime],
    ) -> None:
        self._pace = Pace(1.0 / ticks_per_second)
        self._utcnow = utcnow
        self._venues = {
            code: _Venue(
                [row for row in instruments if row.exchange == code],
                calendar.since(start),
                start=start,
                seed=seed,
                step=timedelta(seconds=step_seconds),
            )
            for code, calendar in sorted(calendars.items())
            if any(row.exchange == code for row in instruments)
        }
        self._venue_of = {row.symbol: row.exchange for row in instruments}
        self.resume(after=None)

    def resume(self, *, after: datetime | None) -> None:
        self._halted: dict[str, frozenset[str]] = {}
        moments = [self._moments_of(code, venue, after) for code, venue in self._venues.items()]
        completions = [venue.completions(code, after) for code, venue in self._venues.items()]
        self._moments = heapq.merge(*moments, *completions, key=lambda moment: moment.at)
        self._next = next(self._moments, None)
        self._pace.start()

    def poll(self, *, monotonic_now: float) -> Tick | None:
        if self._next is None or not self._pace.is_due(monotonic_now) or self._next.at > self._utcnow():
            return None
        self._pace.took(monotonic_now)
        return self._tick()

    def idle_seconds(self, *, monotonic_now: float) -> float:
        if self._next is None or self._next.at > self._utcnow():
            return WAIT_SECONDS
        return self._pace.left(monotonic_now)

    def close(self) -> None:
        """There is nothing to let go of."""

    def history(self, *, symbol: str, first: date, last: date) -> list[DayBar]:
        """Just what the feed has said, or will say, of these days."""
        code = self._venue_of.get(symbol)
        venue = self._venues.get(code) if code is not None else None
        return [] if venue is None else venue.bars(symbol, first, last)

    def _moments_of(self, code: str, venue: "_Venue", after: datetime | None) -> "Iterator[_Moment]":
        for moment in venue.moments(code, after):
            if after is None or moment.at > after:
                yield moment
            elif moment.step is not None:  # who was halted when it was left
                self._halted[code] = venue.halted(moment.session, moment.step)

    def _tick(self) -> Tick:
        """Everything of the next moment; exchanges that have it in common share a tick."""
        assert self._next is not None
        at = self._next.at
        quotes: list[QuoteTick] = []
        bars: list[BarTick] = []
        while self._next is not None and self._next.at == at:
            moment = self._next
            if moment.step is not None:
                venue = self._venues[moment.exchange]
                quotes += venue.quotes(moment.session, moment.step)
                self._halted[moment.exchange] = venue.halted(moment.session, moment.step)
            elif moment.completes:
                bars += self._venues[moment.exchange].completed(moment.session)
            self._next = next(self._moments, None)
        return Tick(at, tuple(quotes), tuple(bars), halted=frozenset().union(*self._halted.values()))


@dataclass(frozen=True, slots=True)
class _Moment:
    """`step` of the `session`; None: its bars are said (`completes`), or time went on."""

    at: datetime
    exchange: str
    session: int
    step: int | None
    completes: bool = False


@dataclass(frozen=True, slots=True)
class _Session:
    """Prices in whole ticks, [K + 1, S], as they are quoted."""

    last: Wholes
    half_spread: Wholes
    volume: Wholes
    halted: list[frozenset[str]]
    high: list[int]
    low: list[int]


class _Venue:
    """One exchange: its sessions from the start on, and what is said in them."""

    def __init__(
        self,
        instruments: Sequence[SimulatedInstrument],
        sessions: Sequence[TradingDay],
        *,
        start: date,
        seed: int,
        step: timedelta,
    ) -> None:
        self._rows = sorted(instruments, key=lambda row: row.symbol)
        self._sessions = sessions
        self._start = start
        self._step = step
        self._simulation = Simulation(
            seed=seed,
            symbols=[SimulatedSymbol(row.symbol, row.sector, row.base_price) for row in self._rows],
            days=[(session.day - start).days for session in sessions],
        )
        self._session = lru_cache(maxsize=2)(self._make_session)

    def moments(self, exchange: str, after: datetime | None) -> Iterator[_Moment]:
        """From the session on in which `after` is."""
        for number, (before, session, later) in enumerate(_with_neighbours(self._sessions)):
            if after is not None and session.closes_at + AROUND <= after:
                continue
            if before is None or session.opens_at - before.closes_at > 2 * AROUND:
                yield _Moment(session.opens_at - AROUND, exchange, number, None)
            steps = self._steps(session)
            for step in range(steps):
                yield _Moment(session.opens_at + step * self._step, exchange, number, step)
            yield _Moment(session.closes_at, exchange, number, steps)
            if later is None or later.opens_at - session.closes_at > 2 * AROUND:
                yield _Moment(session.closes_at + AROUND, exchange, number, None)

    def completions(self, exchange: str, after: datetime | None) -> Iterator[_Moment]:
        """When the bars of sessions are said; the next session may have begun by then."""
        for number, session in enumerate(self._sessions):
            at = session.closes_at + BAR_WAIT
            if after is None or at > after:
                yield _Moment(at, exchange, number, None, completes=True)

    def quotes(self, session: int, step: int) -> Iterator[QuoteTick]:
        made = self._session(session)
        halted = made.halted[step]
        columns = (array[step].tolist() for array in (made.last, made.half_spread, made.volume))
        for row, last, half, volume in zip(self._rows, *columns, strict=True):
            if row.symbol not in halted:
                unit = row.tick_size
                bid, ask = (last - half) * unit, (last + half) * unit
                yield QuoteTick(row.symbol, bid, ask, last * unit, Decimal(volume))

    def completed(self, session: int) -> list[BarTick]:
        made, at = self._session(session), self._sessions[session].closes_at
        return [BarTick(row.symbol, *self._numbers(made, place), at) for place, row in enumerate(self._rows)]

    def halted(self, session: int, step: int) -> frozenset[str]:
        return self._session(session).halted[step]

    def bars(self, symbol: str, first: date, last: date) -> list[DayBar]:
        place = [row.symbol for row in self._rows].index(symbol)
        return [
            DayBar(symbol, session.day, *self._numbers(self._session(number), place))
            for number, session in enumerate(self._sessions)
            if first <= session.day <= last
        ]

    def _numbers(self, made: _Session, place: int) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
        unit = self._rows[place].tick_size
        prices = made.last[:, place]
        return (
            int(prices[0]) * unit, made.high[place] * unit, made.low[place] * unit, int(prices[-1]) * unit,
            Decimal(int(made.volume[-1, place])),
        )  # fmt: skip

    def _steps(self, session: TradingDay) -> int:
        return max(1, ceil((session.closes_at - session.opens_at) / self._step))

    def _make_session(self, number: int) -> _Session:
        session = self._sessions[number]
        minutes = (session.closes_at - session.opens_at) / timedelta(minutes=1)
        day = self._simulation.day(
            (session.day - self._start).days, steps=self._steps(session), minutes=minutes
        )
        units = np.array([float(row.tick_size) for row in self._rows])
        half = np.maximum(1, np.ceil(day.prices * day.half_spread / units)).astype(np.int64)
        last = np.maximum(np.rint(day.prices / units).astype(np.int64), half + 1)
        symbols = np.array([row.symbol for row in self._rows], dtype=object)
        said = np.ma.masked_array(last, mask=day.halted)
        return _Session(
            last=last,
            half_spread=half,
            volume=day.volume,
            halted=[frozenset(symbols[row].tolist()) for row in day.halted],
            high=said.max(axis=0).tolist(),
            low=said.min(axis=0).tolist(),
        )


def _with_neighbours(
    sessions: Sequence[TradingDay],
) -> Iterator[tuple[TradingDay | None, TradingDay, TradingDay | None]]:
    padded: list[TradingDay | None] = [None, *sessions, None]
    for (before, session), later in zip(pairwise(padded), padded[2:], strict=False):
        assert session is not None
        yield before, session, later
