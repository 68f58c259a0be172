"""Prices that everybody can compute from the seed and the tick's number; and the feed's process with them.

The process is the real feed (`market.feed.runner`) with a provider of its own: it may be killed at any moment and goes
on behind its newest snapshot. Market time runs MARKET_SECONDS_PER_SECOND times as fast as the clock, so that market
days end within a campaign.

    python -m tests.faults.market --seed N
"""

import argparse
import math
import os
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from types import FrameType

import django

from market.core.ticks import QuoteTick, Tick

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
BASE = Decimal(100)
AMPLITUDE = 0.008  # below half of what a reservation has as its cushion
PERIOD_TICKS = (10, 24)
TICK_SECONDS = 1.0
MARKET_SECONDS_PER_SECOND = 240
TICK_MARKET = timedelta(seconds=TICK_SECONDS * MARKET_SECONDS_PER_SECOND)
BEGINS = datetime(2026, 3, 2, 18, tzinfo=UTC)
HALF_SPREAD = Decimal("0.01")
CENT = Decimal("0.01")


def price(seed: int, symbol: str, number: int) -> Decimal:
    """The last price at a tick: a wave of the symbol's own, and some noise."""
    draws = Random(f"{seed}|{symbol}")
    period, phase = draws.uniform(*PERIOD_TICKS), draws.uniform(0, math.tau)
    noise = Random(f"{seed}|{symbol}|{number}").uniform(-0.15, 0.15)
    wave = AMPLITUDE * (0.85 * math.sin(phase + math.tau * number / period) + noise)
    return (BASE * Decimal(1 + wave)).quantize(CENT)


class WaveProvider:
    """See `market.feed.providers.base.Provider`."""

    name = "waves"
    finished = False

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._next = 0
        self._due_at: float | None = None

    def resume(self, *, after: datetime | None) -> None:
        self._next = 0 if after is None else (after - BEGINS) // TICK_MARKET + 1
        self._due_at = None

    def poll(self, *, monotonic_now: float) -> Tick | None:
        if self._due_at is not None and monotonic_now < self._due_at:
            return None
        number, self._next = self._next, self._next + 1
        self._due_at = max((self._due_at or monotonic_now) + TICK_SECONDS, monotonic_now)
        quotes = []
        for symbol in SYMBOLS:
            last = price(self._seed, symbol, number)
            quotes.append(QuoteTick(symbol, last - HALF_SPREAD, last + HALF_SPREAD, last, Decimal(10**6)))
        return Tick(at=BEGINS + number * TICK_MARKET, quotes=tuple(quotes))

    def idle_seconds(self, *, monotonic_now: float) -> float:
        return 0.0 if self._due_at is None else max(0.0, self._due_at - monotonic_now)

    def close(self) -> None:
        """There is nothing to let go of."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.faults.market")
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")
    django.setup()
    from market.feed.runner import FeedRunner, StopFlag  # noqa: PLC0415  models need the settings

    stop = StopFlag()

    def request_stop(signum: int, frame: FrameType | None) -> None:
        stop.request()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, request_stop)
    provider = partial(WaveProvider, seed=given.seed)
    FeedRunner(stop=stop, build_provider=lambda state: provider()).run()


if __name__ == "__main__":
    main()
