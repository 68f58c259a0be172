"""A feed that was away while an exchange was open leaves a record: what rules and orders saw stood still meanwhile.

Nobody asks a provider for the quotes of then: a day's bar tells what became of its prices. What is away for longer than
whole days is found by its missing bars (`market.services.gaps`); a breaker stops entries long before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from journal.core.events import PLATFORM_STREAM, Event
from market.core.calendar import ExchangeCalendar
from market.models import Snapshot

SILENCE_SECONDS_MAX = 300
Moved = tuple[datetime, datetime]
"""the market's time of a tick, and the database's when it came"""


def last_moved() -> Moved | None:
    """Of the newest snapshot; None before the first."""
    return Snapshot.objects.order_by("-version").values_list("as_of", "published_at").first()


@dataclass(eq=False)
class Silence:
    """Measured by both clocks: a replay's days are hours long and pass in a moment, and at night nothing is missed."""

    last: Moved | None

    def ended_by(
        self, *, at: datetime, received_at: datetime, calendars: Iterable[ExchangeCalendar], provider: str
    ) -> list[Event]:
        """The event to journal where this tick ends a silence, in a list; and remember the tick."""
        before, self.last = self.last, (at, received_at)
        most = timedelta(seconds=SILENCE_SECONDS_MAX)
        if before is None or received_at - before[1] <= most:
            return []
        missed = max((each.open_within(before[0], at) for each in calendars), default=timedelta())
        if missed <= most:
            return []
        payload = {
            "provider": provider, "since": before[0], "until": at, "seconds_of_hours": int(missed.total_seconds()),
            "seconds_away": int((received_at - before[1]).total_seconds()),
        }  # fmt: skip
        return [Event(PLATFORM_STREAM, "market.feed_was_silent", received_at, payload)]
