"""MARKET_FEED=none: the process lives and holds its lease, and the market stands still."""

from datetime import datetime

from market.core.ticks import Tick

POLL_SECONDS = 1.0


class SilentProvider:
    name = "none"
    finished = False

    def resume(self, *, after: datetime | None) -> None:
        """There is nowhere to go on."""

    def poll(self, *, monotonic_now: float) -> Tick | None:
        return None

    def idle_seconds(self, *, monotonic_now: float) -> float:
        return POLL_SECONDS

    def close(self) -> None:
        """There is nothing to let go of."""
