"""A small market that is quick to make: one exchange, two instruments, two weeks of January 2004."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from foundation import leases
from market.core.fields import FIELD_NAMES
from market.core.snapshot import MarketSnapshot
from market.feed.runner import FeedRunner, StopFlag
from market.models import CalendarDay, Exchange, Instrument, Snapshot
from market.services import snapshot_cache, snapshots

OPEN, CLOSE = time(14, 30), time(21, 0)


def moment(day, at=CLOSE):
    """Market time on a day of January 2004."""
    return datetime.combine(date(2004, 1, day), at, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_caches(monkeypatch):
    """Neither the process cache nor a pause after a failure outlives a test."""
    snapshots._cache.clear()
    snapshot_cache._client.cache_clear()
    monkeypatch.setattr(snapshot_cache, "_paused_until", 0.0)
    yield
    snapshot_cache._client().close()
    snapshot_cache._client.cache_clear()


def make_exchange():
    exchange = Exchange.objects.create(code="XNYS", name="New York", timezone="America/New_York")
    for offset in range(14):
        day = date(2004, 1, 5) + timedelta(days=offset)
        if day.weekday() < 5:
            CalendarDay.objects.create(
                exchange=exchange,
                day=day,
                opens_at=datetime.combine(day, OPEN, tzinfo=UTC),
                closes_at=datetime.combine(day, CLOSE, tzinfo=UTC),
            )
    return exchange


def make_instruments(exchange):
    return [
        Instrument.objects.create(
            symbol=symbol, name=symbol, exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
        )
        for symbol in ("AAPL", "IBM")
    ]


@pytest.fixture
def exchange(db):
    return make_exchange()


@pytest.fixture
def instruments(exchange):
    return make_instruments(exchange)


@pytest.fixture
def lease(db):
    held = leases.acquire(name="market.feed", holder="test", seconds=60)
    assert held is not None
    return held


def market_at(as_of, *, price=100.0):
    """A snapshot of two symbols that is enough to be published."""
    values = np.full((len(FIELD_NAMES), 2), np.nan)
    values[0] = price
    known = np.full(2, as_of.timestamp())
    return MarketSnapshot(
        version=0,
        as_of=as_of,
        symbols=("AAPL", "IBM"),
        instrument_ids=(1, 2),
        fields=FIELD_NAMES,
        values=values,
        completed=np.stack([values, values]),
        market_time=known,
        price_received_at=known,
        bid=values[0],
        ask=values[0],
        is_open=np.array([True, True]),
        opens_at=known,
        closes_at=known,
        recommendations={},
    )


class Clock:
    """Time passes only by sleeping; `at` runs something when a moment is reached."""

    def __init__(self):
        self.now = 0.0
        self.plan = []

    def at(self, moment, action):
        self.plan.append((moment, action))

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert 0 < seconds <= 0.1, "a stop must be noticed soon"
        self.now += seconds
        due = [entry for entry in self.plan if entry[0] <= self.now]
        self.plan = [entry for entry in self.plan if entry[0] > self.now]
        for _, action in due:
            action()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stop():
    return StopFlag()


def runner(clock, stop, **options):
    return FeedRunner(stop=stop, monotonic=clock.monotonic, sleep=clock.sleep, **options)


def times():
    return list(Snapshot.objects.order_by("version").values_list("as_of", flat=True))
