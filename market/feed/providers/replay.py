"""Replaying bars as if they happened now: of whole days by three ticks, at the exchange's open, at its close, and when
the bar is known.

At the open every symbol is quoted at its bar's open; at the close at its bar's close. The bar is complete then, and
said BAR_WAIT later, as it is where the market is real: who decides by it is too late for that close. Times come from
the calendar, so half days close early. A bar with a time of day is a quote at that time, which is when it completed;
those of a session make up the bar of the day. Market time is the data's; the pace is the wall clock's.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

import structlog

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.quotes import synthetic_quote
from market.core.ticks import BarTick, QuoteTick, Tick
from market.feed.providers.base import BAR_WAIT
from market.feed.providers.pace import Pace
from market.services.bar_files import FileBar

log = structlog.get_logger(__name__)

TICKS_A_DAY = 3
IDLE_SECONDS_WHEN_FINISHED = 1.0


@dataclass(frozen=True, slots=True)
class ReplayedInstrument:
    symbol: str
    exchange: str
    tick_size: Decimal


class ReplayHistory:
    """The past of a replay: what `read` gives, a bar a day. Who asks is not told the future by it (see import_bars)."""

    def __init__(self, read: Callable[[], Iterable[DayBar]]) -> None:
        self._read = read

    @cached_property
    def _bars(self) -> Sequence[DayBar]:
        return list(self._read())

    def history(self, *, symbol: str, first: date, last: date) -> list[DayBar]:
        return [bar for bar in self._bars if bar.symbol == symbol and first <= bar.day <= last]


class ReplayProvider:
    """`bars` of whole days and `moments` of a time of day, in any order.

    Those of unknown symbols, before `start`, or outside of the exchange's sessions are left out.
    """

    name = "replay"

    def __init__(
        self,
        *,
        bars: Sequence[DayBar],
        instruments: Sequence[ReplayedInstrument],
        calendars: Mapping[str, ExchangeCalendar],
        start: date,
        days_per_second: float,
        moments: Sequence[FileBar] = (),
    ) -> None:
        assert days_per_second > 0
        script = _Script(instruments=instruments, calendars=calendars, start=start)
        script.play_moments(moments)
        script.play_days(bars)
        self._history = ReplayHistory(lambda: [*bars, *script.days_of_moments])
        self._ticks = script.ticks()
        ticks_a_day = float(TICKS_A_DAY)
        if moments and self._ticks:
            ticks_a_day = max(ticks_a_day, len(self._ticks) / len({tick.at.date() for tick in self._ticks}))
        self._pace = Pace(1.0 / (days_per_second * ticks_a_day))
        self._times = [tick.at for tick in self._ticks]
        self._next = 0

    def resume(self, *, after: datetime | None) -> None:
        self._next = 0 if after is None else bisect_right(self._times, after)
        self._pace.start()

    def close(self) -> None:
        """There is nothing to let go of."""

    def history(self, *, symbol: str, first: date, last: date) -> list[DayBar]:
        return self._history.history(symbol=symbol, first=first, last=last)

    @property
    def finished(self) -> bool:
        return self._next >= len(self._ticks)

    def poll(self, *, monotonic_now: float) -> Tick | None:
        if self.finished or not self._pace.is_due(monotonic_now):
            return None
        tick = self._ticks[self._next]
        self._next += 1
        self._pace.took(monotonic_now)
        return tick

    def idle_seconds(self, *, monotonic_now: float) -> float:
        if self.finished:
            return IDLE_SECONDS_WHEN_FINISHED
        return self._pace.left(monotonic_now)


class _Script:
    """What is said when: quotes and completed bars by market time."""

    def __init__(
        self,
        *,
        instruments: Sequence[ReplayedInstrument],
        calendars: Mapping[str, ExchangeCalendar],
        start: date,
    ) -> None:
        self._known = {instrument.symbol: instrument for instrument in instruments}
        self._calendars = calendars
        self._start = start
        self._quotes: dict[datetime, list[QuoteTick]] = {}
        self._completed: dict[datetime, list[BarTick]] = {}
        self._left_out = 0
        self.days_of_moments: list[DayBar] = []

    def ticks(self) -> list[Tick]:
        """All ticks in order; symbols whose exchanges open or close at the same moment share one."""
        if self._left_out:
            log.warning(
                "replay_bars_left_out",
                count=self._left_out,
                reason="they are outside of the exchange's trading days and hours",
            )
        return [
            Tick(at=at, quotes=tuple(self._quotes.get(at, ())), bars=tuple(self._completed.get(at, ())))
            for at in sorted(self._quotes.keys() | self._completed.keys())
        ]

    def play_days(self, bars: Iterable[DayBar]) -> None:
        for bar in sorted(bars, key=lambda bar: bar.symbol):
            instrument = self._known.get(bar.symbol)
            if instrument is None or bar.day < self._start:
                continue
            calendar = self._calendars.get(instrument.exchange)
            session = calendar.on(bar.day) if calendar is not None else None
            if session is None:
                self._left_out += 1
                continue
            self._quote(session.opens_at, instrument, bar.open, Decimal(0))
            self._complete(session, instrument, bar)

    def play_moments(self, rows: Iterable[FileBar]) -> None:
        of_day: DayBar | None = None
        session: TradingDay | None = None
        last_at: datetime | None = None
        for row in sorted(rows, key=lambda row: (row.bar.symbol, row.at)):
            instrument = self._known.get(row.bar.symbol)
            if instrument is None:
                continue
            assert row.at is not None
            found = self._session_at(instrument, row.at)
            if found is None:
                self._left_out += 1
                continue
            if found.day < self._start:
                continue
            if of_day is None or (of_day.symbol, of_day.day) != (row.bar.symbol, found.day):
                self._end_of_day(session, of_day, last_at)
                of_day, session = replace(row.bar, day=found.day), found
            else:
                of_day = _joined(of_day, row.bar)
            last_at = row.at
            self._quote(row.at, instrument, row.bar.close, of_day.volume)
        self._end_of_day(session, of_day, last_at)

    def _session_at(self, instrument: ReplayedInstrument, at: datetime) -> TradingDay | None:
        """A bar that completes with the session belongs to it, also where the next begins at that very moment."""
        calendar = self._calendars.get(instrument.exchange)
        session = calendar.session_of(at - timedelta(microseconds=1)) if calendar is not None else None
        return session if session is not None and session.opens_at < at <= session.closes_at else None

    def _end_of_day(
        self, session: TradingDay | None, of_day: DayBar | None, last_at: datetime | None
    ) -> None:
        if session is None or of_day is None:
            return
        self.days_of_moments.append(of_day)
        self._complete(session, self._known[of_day.symbol], of_day, quoted=last_at == session.closes_at)

    def _complete(
        self, session: TradingDay, instrument: ReplayedInstrument, bar: DayBar, *, quoted: bool = False
    ) -> None:
        at = session.closes_at
        if not quoted:
            self._quote(at, instrument, bar.close, bar.volume)
        completed = BarTick(bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, at)
        self._completed.setdefault(at + BAR_WAIT, []).append(completed)

    def _quote(self, at: datetime, instrument: ReplayedInstrument, price: Decimal, volume: Decimal) -> None:
        quote = synthetic_quote(price, tick_size=instrument.tick_size)
        said = QuoteTick(
            symbol=instrument.symbol, bid=quote.bid, ask=quote.ask, last=quote.last, volume=volume
        )
        self._quotes.setdefault(at, []).append(said)


def _joined(first: DayBar, second: DayBar) -> DayBar:
    return replace(
        first,
        high=max(first.high, second.high),
        low=min(first.low, second.low),
        close=second.close,
        volume=first.volume + second.volume,
    )
