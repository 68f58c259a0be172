"""A worker under full load: it orders in many portfolios and executes what is pending, as fast as it can."""

import os
import random
import struct
import sys
import time
import uuid
from pathlib import Path

from django.db import connection

from benchmarks.trading_world import Market, Sessions, current_view, place, wish
from sessions.models import TradingSession
from trading.services.facts import MarketView
from trading.services.faults import TRANSIENT
from trading.services.risk_management import OrderWish
from trading.services.trade_execution import execute_pending

PUBLISH_SECONDS = 0.5
PORTFOLIOS_AT_ONCE = 3
ORDERS_MAX = 3
_COUNT = struct.Struct("<q")


class Passes:
    """How often each worker has ordered and executed, in a file that they share with whoever watches them."""

    def __init__(self, file: Path, *, workers: int = 0) -> None:
        """`workers` makes a new one."""
        if workers:
            file.write_bytes(bytes(_COUNT.size * workers))
        self._descriptor = os.open(file, os.O_RDWR)

    def note(self, worker: int, count: int) -> None:
        os.pwrite(self._descriptor, _COUNT.pack(count), worker * _COUNT.size)

    def counts(self) -> list[int]:
        size = os.fstat(self._descriptor).st_size
        return [count for (count,) in _COUNT.iter_unpack(os.pread(self._descriptor, size, 0))]


def work(number: str, file: str) -> None:
    """Until it is killed. Worker 0 moves the market besides."""
    passes, count = Passes(Path(file)), 0
    rng = random.Random(int(number))
    market = Market.known(seed=1) if number == "0" else None
    sessions = {row.portfolio_id: row for row in TradingSession.objects.all()}
    published = 0.0
    while True:
        try:
            if market is not None and time.monotonic() - published > PUBLISH_SECONDS:
                market.publish()
                published = time.monotonic()
            view = current_view()
            place(_wishes(rng, sessions, view), sessions=sessions, view=view)
            execute_pending()
        except TRANSIENT as error:  # as a task does: somebody held a lock for too long
            print(f"load {number}: {error!r}", file=sys.stderr)
            connection.close_if_unusable_or_obsolete()
        count += 1
        passes.note(int(number), count)


def _wishes(rng: random.Random, sessions: Sessions, view: MarketView) -> dict[uuid.UUID, list[OrderWish]]:
    """More is bought than sold, so that there is something to sell; what is not held is refused."""
    instruments = list(view.instruments.values())
    return {
        key: [
            wish(view, "buy" if rng.random() < 0.7 else "sell", rng.choice(instruments), rng.randrange(1, 9))
            for _ in range(rng.randrange(1, ORDERS_MAX + 1))
        ]
        for key in rng.sample(sorted(sessions), PORTFOLIOS_AT_ONCE)
    }
