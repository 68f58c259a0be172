"""What the feed asks of a source of market data."""

from datetime import datetime, timedelta
from typing import Protocol

from market.core.history import HasHistory
from market.core.ticks import Tick

__all__ = ["BAR_WAIT", "HasHistory", "Provider"]

BAR_WAIT = timedelta(seconds=90)
"""after the close until the day's bar is said: Alpaca sends it once a minute, the last time with the closing auction"""


class Provider(Protocol):
    """Hands out ticks in market time order; never sleeps and never writes, so that the feed stays in command.

    A provider keeps its own place in memory only. The durable place is the newest snapshot: the feed calls
    `resume` with its time after a start and after every failure, and the provider goes on behind it.
    """

    name: str

    def resume(self, *, after: datetime | None) -> None:
        """Go on with the first tick later than `after`; with the very first when it is None."""

    def poll(self, *, monotonic_now: float) -> Tick | None:
        """The next tick if one is due, else None. Returns at once."""

    def idle_seconds(self, *, monotonic_now: float) -> float:
        """How long the caller may sleep before it polls again."""

    def close(self) -> None:
        """Let go of threads and connections; it is not asked any more."""

    @property
    def finished(self) -> bool:
        """There will be no further tick, ever."""
