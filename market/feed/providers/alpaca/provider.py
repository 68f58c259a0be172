"""Ticks for the feed out of the stream: what is newest, at most every FEED_COALESCE_MS.

Market time is that of the newest quote and never goes back. Outside of hours there may be no quote for long, and what
waits for the clock would wait until the morning: then empty ticks say that time went on. They come only while the
stream is alive and no exchange of ours is open, or they would hide a dead stream from the breaker that watches for
silence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar
from market.core.history import HasHistory
from market.core.ticks import BarTick, Tick
from market.feed.providers.alpaca.newest import Newest
from market.feed.providers.alpaca.reading import UNREADABLE, SaidDay
from market.feed.providers.base import BAR_WAIT

POLL_SECONDS = 0.05


class Stream(Protocol):
    """What the provider needs of `DataStream`."""

    @property
    def failure(self) -> Exception | None: ...
    @property
    def is_alive(self) -> bool: ...
    def start(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ListedSymbol:
    symbol: str
    exchange: str


class AlpacaProvider:
    """A day whose bar did not come before the feed was stopped is a gap, which `history` fills."""

    name = "alpaca"
    finished = False

    def __init__(
        self,
        *,
        instruments: Sequence[ListedSymbol],
        calendars: Mapping[str, ExchangeCalendar],
        stream: Stream,
        newest: Newest,
        history: HasHistory,
        coalesce_seconds: float,
        idle_tick_seconds: float,
        utcnow: Callable[[], datetime],
    ) -> None:
        self._exchange_of = {row.symbol: row.exchange for row in instruments}
        self._calendars = {code: calendars[code] for code in set(self._exchange_of.values()) & set(calendars)}
        self._stream, self._newest, self._history = stream, newest, history
        self._coalesce_seconds, self._idle_tick_seconds = coalesce_seconds, idle_tick_seconds
        self._utcnow = utcnow
        self._time: datetime | None = None
        self._completed: dict[str, date] = {}
        self._said_at: float | None = None

    def resume(self, *, after: datetime | None) -> None:
        """What was said meanwhile nobody says again; the stream begins now."""
        self._time = after
        self._stream.start()

    def poll(self, *, monotonic_now: float) -> Tick | None:
        """Raises StreamRefused when the stream has ended for good."""
        if self._stream.failure is not None:
            raise self._stream.failure
        if self._waits(self._coalesce_seconds, monotonic_now):
            return None
        tick = self._tick() or self._idle_tick(monotonic_now)
        if tick is not None:
            self._time = tick.at if self._time is None else max(self._time, tick.at)
            self._said_at = monotonic_now
        return tick

    def idle_seconds(self, *, monotonic_now: float) -> float:
        if self._said_at is None:
            return POLL_SECONDS
        return max(self._said_at + self._coalesce_seconds - monotonic_now, POLL_SECONDS)

    def close(self) -> None:
        self._stream.close()

    def history(self, *, symbol: str, first: date, last: date) -> Iterable[DayBar]:
        return self._history.history(symbol=symbol, first=first, last=last)

    def _waits(self, seconds: float, monotonic_now: float) -> bool:
        return self._said_at is not None and monotonic_now < self._said_at + seconds

    def _tick(self) -> Tick | None:
        drained = self._newest.drain()
        bars = self._bars()
        if not (drained.quotes or drained.odd or bars or drained.halted is not None):
            return None
        times = [quote.at for quote in drained.quotes] + [bar.at for bar in bars] + [self._time]
        known = [at for at in times if at is not None]
        at = max(known) if known else self._utcnow()
        return Tick(at, drained.odd + drained.quotes, tuple(bars), halted=drained.halted)

    def _idle_tick(self, monotonic_now: float) -> Tick | None:
        if self._waits(self._idle_tick_seconds, monotonic_now) or not self._stream.is_alive:
            return None
        now = self._utcnow()
        return None if is_somebody_open(self._calendars, now) else Tick(now, ())

    def _bars(self) -> list[BarTick]:
        """Of the days whose sessions are over, each once."""
        now = self._utcnow()
        bars = []
        for said in self._newest.days():
            calendar = self._calendars.get(self._exchange_of[said.symbol])
            if calendar is None or said.at is UNREADABLE:
                continue
            session = calendar.session_of(said.at)
            if session is None or now < session.closes_at + BAR_WAIT:
                continue
            if self._completed.get(said.symbol) != session.day:
                self._completed[said.symbol] = session.day
                bars.append(_bar(said, session.closes_at))
        return bars


def is_somebody_open(calendars: Mapping[str, ExchangeCalendar], moment: datetime) -> bool:
    return any(calendar.is_open(moment) for calendar in calendars.values())


def _bar(said: SaidDay, at: datetime) -> BarTick:
    return BarTick(said.symbol, said.open, said.high, said.low, said.close, said.volume, at)
