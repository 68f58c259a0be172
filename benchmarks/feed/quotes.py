"""Ticks in which every symbol is quoted, as the feed's process takes them in: checked, stored, published, announced.

Each tick is timed with `apply_tick`, the function that the feed calls, from the quotes that a provider hands over to
the committed snapshot; wake-ups and Valkey are in it. The floor writes the same rows and the same bytes by bare COPY,
committed to the same durable server, and does nothing else.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import psycopg

from benchmarks.figure import Figure
from foundation import leases
from foundation.copying import copy_values
from market.core.features import RING
from market.core.ticks import QuoteTick, Tick
from market.models import Bar, CalendarDay, Exchange, Instrument, Snapshot
from market.services import snapshots
from market.services.feed_state import FeedState, load_state
from market.services.ingest import apply_tick

SYMBOLS = 500
TICKS = int(os.environ.get("FEED_TICKS", "300"))
WARM_UP_TICKS = 20
FIRST_DAY = datetime(2009, 1, 1, tzinfo=UTC)
OPENS, CLOSES = timedelta(hours=14, minutes=30), timedelta(hours=21)
CENT = Decimal("0.01")


def measure() -> Iterator[Figure]:
    opening = make_market()
    state = load_state()
    lease = leases.acquire(name="market.feed", holder="benchmark", seconds=3600)
    assert lease is not None
    floor = Floor()
    ours: list[float] = []
    least: list[float] = []
    ticks = Quotes(state, opening)
    for _ in range(WARM_UP_TICKS + TICKS):
        tick = ticks.next()
        start = time.perf_counter()
        version = apply_tick(state=state, tick=tick, lease=lease, lease_seconds=3600)
        ours.append(time.perf_counter() - start)
        assert_published(version, tick)
        least.append(floor.write(state, tick, payload_of(version)))
    of_each = [SYMBOLS / seconds for seconds in ours[WARM_UP_TICKS:]]
    of_floor = [SYMBOLS / seconds for seconds in least[WARM_UP_TICKS:]]
    p99 = sorted(ours[WARM_UP_TICKS:])[int(len(of_each) * 0.99)] * 1000
    yield Figure(
        "feed.quotes", round(statistics.median(of_each)), "1/s", round(statistics.median(of_floor)),
        "the same rows and the snapshot's bytes by bare COPY, committed to the same server", n=TICKS,
        notes=f"{SYMBOLS} symbols, all quoted in every tick, {RING} bars each; checks, quotes, indicators, snapshot, "
        f"commit, Valkey, wake-ups; a tick takes {statistics.median(ours[WARM_UP_TICKS:]) * 1000:.1f} ms, "
        f"p99 {p99:.1f} ms",
    )  # fmt: skip


def make_market() -> datetime:
    """Symbols with a history; returns when the session opens in which they are quoted."""
    exchange = Exchange.objects.create(code="XBEN", name="Benchmark", timezone="UTC")
    days = [FIRST_DAY + timedelta(days=number) for number in range(RING + 1)]
    CalendarDay.objects.bulk_create(
        CalendarDay(exchange=exchange, day=day.date(), opens_at=day + OPENS, closes_at=day + CLOSES)
        for day in days
    )
    Instrument.objects.update(is_active=False)
    instruments = Instrument.objects.bulk_create(
        Instrument(symbol=f"S{number:03}", name=f"Share {number}", exchange=exchange, tick_size=CENT, lot_size=1)
        for number in range(SYMBOLS)
    )  # fmt: skip
    rng = np.random.default_rng(5)
    closes = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, (RING, SYMBOLS)), axis=0)), 2)
    copy_values(
        Bar,
        ["instrument_id", "interval", "at", "open", "high", "low", "close", "volume"],
        [
            [row.pk, "1d", day + CLOSES, close, close + 1, close - 1, close, 1_000_000]
            for day, of_day in zip(days[:-1], closes, strict=True)
            for row, close in zip(instruments, [Decimal(f"{value:.2f}") for value in of_day], strict=True)
        ],
    )
    return days[-1] + OPENS


class Quotes:
    """A tick a second of market time; each price moves by some cents, so that nothing is what it was."""

    def __init__(self, state: FeedState, opening: datetime) -> None:
        self._rng = random.Random(11)
        self._at = opening
        closes = Bar.objects.filter(at=opening - OPENS - timedelta(days=1) + CLOSES)
        known = dict(closes.values_list("instrument__symbol", "close"))
        self._prices = {symbol: known[symbol] for symbol in state.features.symbols}

    def next(self) -> Tick:
        self._at += timedelta(seconds=1)
        quotes = []
        for symbol, price in self._prices.items():
            last = self._prices[symbol] = max(
                price + CENT * self._rng.choice((-3, -2, -1, 1, 2, 3)), 5 * CENT
            )
            quotes.append(
                QuoteTick(symbol, last - CENT, last + CENT, last, Decimal(self._rng.randrange(10**6)))
            )
        return Tick(at=self._at, quotes=tuple(quotes))


def assert_published(version: int, tick: Tick) -> None:
    market = snapshots.at_version(version)
    assert market is not None and market.as_of == tick.at
    for quote in tick.quotes:
        assert market.price(quote.symbol) == quote.last and market.bid_price(quote.symbol) == quote.bid


def payload_of(version: int) -> bytes:
    return bytes(Snapshot.objects.values_list("payload", flat=True).get(version=version))


class Floor:
    """Tables like ours, written by the database's owner. Each tick adds its rows: COPY changes none."""

    def __init__(self) -> None:
        self._connection = psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)
        self._connection.execute("CREATE TABLE bare_quote (LIKE market_quote INCLUDING DEFAULTS)")
        self._connection.execute("CREATE TABLE bare_snapshot (LIKE market_snapshots INCLUDING ALL)")

    def write(self, state: FeedState, tick: Tick, payload: bytes) -> float:
        """The seconds that it took."""
        rows: Sequence[tuple[object, ...]] = [
            (state.identities[q.symbol], q.bid, q.ask, q.last, q.volume, tick.at, tick.at, False)
            for q in tick.quotes
        ]
        start = time.perf_counter()
        with self._connection.transaction(), self._connection.cursor() as cursor:
            with cursor.copy("COPY bare_quote FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            with cursor.copy("COPY bare_snapshot (version, as_of, digest, payload) FROM STDIN") as copy:
                copy.write_row((int(tick.at.timestamp()), tick.at, "", payload))
        return time.perf_counter() - start
