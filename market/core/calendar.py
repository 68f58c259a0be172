"""Trading days of exchanges, as sorted arrays: no pandas, no database, all times aware and in UTC."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One session of an exchange; half days simply close earlier."""

    day: date
    opens_at: datetime
    closes_at: datetime


class ExchangeCalendar:
    """The sessions of one exchange that are known; what lies outside of them is not known to be closed."""

    def __init__(self, *, timezone: str, days: Iterable[TradingDay]) -> None:
        self._zone = ZoneInfo(timezone)
        self._days = sorted(days, key=lambda trading_day: trading_day.opens_at)
        self._opens = [trading_day.opens_at for trading_day in self._days]
        self._by_day: Mapping[date, TradingDay] = {trading_day.day: trading_day for trading_day in self._days}

    def on(self, day: date) -> TradingDay | None:
        return self._by_day.get(day)

    def since(self, day: date) -> list[TradingDay]:
        """The sessions of that day and later ones, in order."""
        return [trading_day for trading_day in self._days if trading_day.day >= day]

    def day_of(self, moment: datetime) -> date:
        """The moment's date at the exchange."""
        return moment.astimezone(self._zone).date()

    def session_of(self, moment: datetime) -> TradingDay | None:
        """The session that is open at the moment, its close included, also where it began the evening before; else that
        of the moment's day *at the exchange* (its date there, not in UTC), or None. Where one begins as another ends it
        is the one that begins."""
        newest = bisect_right(self._opens, moment) - 1
        if newest >= 0 and moment <= self._days[newest].closes_at:
            return self._days[newest]
        return self._by_day.get(self.day_of(moment))

    def is_open(self, moment: datetime) -> bool:
        """Open from `opens_at` to `closes_at`, both included: the close is the closing auction."""
        session = self.session_of(moment)
        return session is not None and session.opens_at <= moment <= session.closes_at

    def open_within(self, after: datetime, until: datetime) -> timedelta:
        """How long it is open from the one moment to the other."""
        first = max(bisect_right(self._opens, after) - 1, 0)
        total = timedelta()
        for session in self._days[first : bisect_right(self._opens, until)]:
            total += max(min(session.closes_at, until) - max(session.opens_at, after), timedelta())
        return total

    def close_after(self, moment: datetime, *, sessions: int) -> datetime | None:
        """When the n-th session that opens after `moment` closes; None beyond the known days."""
        assert sessions >= 1
        index = bisect_right(self._opens, moment) + sessions - 1
        return self._days[index].closes_at if index < len(self._days) else None
