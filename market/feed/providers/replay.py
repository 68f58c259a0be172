"""Replaying daily bars as if they happened now: two ticks a trading day, at the exchange's open and at its
close.

At the open every symbol is quoted at its bar's open; at the close at its bar's close, and the bar is
complete. Times come from the calendar, so half days close early. Market time is the data's; the pace is the
wall clock's.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar
from market.core.quotes import synthetic_quote
from market.core.ticks import BarTick, QuoteTick, Tick

log = structlog.get_logger(__name__)

TICKS_A_DAY = 2
IDLE_SECONDS_WHEN_FINISHED = 1.0


@dataclass(frozen=True, slots=True)
class ReplayedInstrument:
    symbol: str
    exchange: str
    tick_size: Decimal


class ReplayProvider:
    """`bars` in any order; those of unknown symbols, before `start`, or on no trading day are left out."""

    name = "replay"

    def __init__(
        self,
        *,
        bars: Sequence[DayBar],
        instruments: Sequence[ReplayedInstrument],
        calendars: Mapping[str, ExchangeCalendar],
        start: date,
        days_per_second: float,
    ) -> None:
        assert days_per_second > 0
        self._seconds_per_tick = 1.0 / (days_per_second * TICKS_A_DAY)
        self._ticks = _ticks(bars=bars, instruments=instruments, calendars=calendars, start=start)
        self._times = [tick.at for tick in self._ticks]
        self._next = 0
        self._due_at: float | None = None

    def resume(self, *, after: datetime | None) -> None:
        self._next = 0 if after is None else bisect_right(self._times, after)
        self._due_at = None

    @property
    def finished(self) -> bool:
        return self._next >= len(self._ticks)

    def poll(self, *, monotonic_now: float) -> Tick | None:
        if self.finished or (self._due_at is not None and monotonic_now < self._due_at):
            return None
        tick = self._ticks[self._next]
        self._next += 1
        # Keep the beat, but after a stall do not hurry through what was missed.
        due = monotonic_now if self._due_at is None else self._due_at
        self._due_at = max(due + self._seconds_per_tick, monotonic_now)
        return tick

    def idle_seconds(self, *, monotonic_now: float) -> float:
        if self.finished:
            return IDLE_SECONDS_WHEN_FINISHED
        return 0.0 if self._due_at is None else max(0.0, self._due_at - monotonic_now)


def _ticks(
    *,
    bars: Sequence[DayBar],
    instruments: Sequence[ReplayedInstrument],
    calendars: Mapping[str, ExchangeCalendar],
    start: date,
) -> list[Tick]:
    """All ticks in order; symbols whose exchanges open or close at the same moment share one."""
    known = {instrument.symbol: instrument for instrument in instruments}
    quotes: dict[datetime, list[QuoteTick]] = {}
    completed: dict[datetime, list[BarTick]] = {}
    left_out = 0
    for bar in sorted(bars, key=lambda bar: bar.symbol):
        instrument = known.get(bar.symbol)
        if instrument is None or bar.day < start:
            continue
        calendar = calendars.get(instrument.exchange)
        session = calendar.on(bar.day) if calendar is not None else None
        if session is None:
            left_out += 1
            continue
        quotes.setdefault(session.opens_at, []).append(_quote(instrument, bar.open, Decimal(0)))
        quotes.setdefault(session.closes_at, []).append(_quote(instrument, bar.close, bar.volume))
        completed.setdefault(session.closes_at, []).append(
            BarTick(bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume)
        )
    if left_out:
        log.warning(
            "replay_bars_left_out", count=left_out, reason="their day is no trading day of the exchange"
        )
    return [Tick(at=at, quotes=tuple(quotes[at]), bars=tuple(completed.get(at, ()))) for at in sorted(quotes)]


def _quote(instrument: ReplayedInstrument, price: Decimal, volume: Decimal) -> QuoteTick:
    quote = synthetic_quote(price, tick_size=instrument.tick_size)
    return QuoteTick(symbol=instrument.symbol, bid=quote.bid, ask=quote.ask, last=quote.last, volume=volume)
