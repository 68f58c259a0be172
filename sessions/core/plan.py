"""When a plan's session runs on a trading day: from around the open to around the close. Pure.

Both ends are counted from the exchange's own times of that day, so half days and changes of the clock need no thought.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from market.core.calendar import TradingDay
from rules.core.fields import WEEKDAYS

MINUTES_MAX = 720
"""How far from open and close: half a day, in either direction."""


@dataclass(frozen=True)
class Hours:
    """Market time, in UTC: from `starts_at` on, and not at `ends_at` any more."""

    starts_at: datetime
    ends_at: datetime

    def are_on(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True)
class PlanTimes:
    """Minutes below zero mean after the open, or before the close. No weekdays mean each of them."""

    start_minutes_before_open: int = 0
    stop_minutes_after_close: int = 0
    weekdays: Collection[str] = ()

    def hours_on(self, day: TradingDay) -> Hours | None:
        """None: no session runs on this day, for its weekday, or for a half day that ends before it would begin."""
        if self.weekdays and WEEKDAYS[day.day.weekday()] not in self.weekdays:
            return None
        hours = Hours(
            day.opens_at - timedelta(minutes=self.start_minutes_before_open),
            day.closes_at + timedelta(minutes=self.stop_minutes_after_close),
        )
        return hours if hours.starts_at < hours.ends_at else None
