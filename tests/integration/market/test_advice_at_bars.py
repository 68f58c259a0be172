"""The advice that counted when the last two bars of a symbol completed, through PostgreSQL and back."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from market.core.recommendation import RecommendationClass, RecommendationItem
from market.core.ticks import BarTick, QuoteTick, Tick
from market.selectors import advice_at_bars
from market.services import feed_state, snapshots
from market.services.feed_state import build_snapshot, load_state
from market.services.ingest import apply_tick
from market.services.recommendations import record

from .conftest import OPEN, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]


class Feed:
    """Opens and closes days of January 2004; `at_bars` is what a worker reads."""

    def __init__(self, lease):
        self.lease = lease
        self.state = load_state()

    def open(self, day):
        self.quote(moment(day, OPEN))

    def quote(self, at):
        self._apply(Tick(at=at, quotes=self._quotes()))

    def close(self, day, *symbols):
        bars = [BarTick(symbol, *[Decimal(100)] * 4, Decimal(1000)) for symbol in symbols or ("AAPL", "IBM")]
        self._apply(Tick(at=moment(day), quotes=self._quotes(), bars=tuple(bars)))

    def _quotes(self):
        return tuple(QuoteTick(symbol, *[Decimal(100)] * 3, Decimal(0)) for symbol in ("AAPL", "IBM"))

    def _apply(self, tick):
        apply_tick(state=self.state, tick=tick, lease=self.lease, lease_seconds=60)

    def at_bars(self, symbol="AAPL", source="model"):
        """[previous, last] class, None where unknown."""
        snapshots._cache.clear()
        market = snapshots.current()
        frame = market.recommendations.get(source)
        if frame is None:
            return [None, None]
        codes = frame.completed[:, market.index(symbol)]
        return [None if code != code else RecommendationClass(int(code)).name for code in codes]


@pytest.fixture
def feed(lease):
    return Feed(lease)


def advise(name, *, as_of=None, until=30, symbol="AAPL", source="model", confidence=0.7):
    item = RecommendationItem(
        external_id=f"{source} {symbol} {name} {as_of}",
        symbol=symbol,
        recommendation=name,
        confidence=confidence,
        as_of=as_of,
        expires_at=until if not isinstance(until, int) else moment(until),
    )
    record(source=source, description="", items=[item])


def test_it_is_the_newest_at_each_of_the_two_bars(feed):
    feed.open(5)
    advise("SELL")
    feed.close(5)
    assert feed.at_bars() == [None, "SELL"]  # one bar so far
    feed.open(6)
    advise("HOLD")
    advise("BUY", as_of=moment(6, OPEN) - timedelta(hours=1))  # older than HOLD: never counts
    feed.close(6)
    assert feed.at_bars() == ["SELL", "HOLD"]
    assert feed.at_bars("IBM") == [None, None]
    feed.open(7)
    advise("STRONG_BUY")
    assert feed.at_bars() == ["SELL", "HOLD"], "it does not count before a bar completes"
    feed.close(7)
    assert feed.at_bars() == ["HOLD", "STRONG_BUY"]


def test_advice_about_a_bar_that_comes_in_after_it_counts_from_the_next_snapshot_on(feed):
    feed.open(5)
    advise("SELL")
    feed.close(5)
    advise("BUY", as_of=moment(5))  # as a model does with the bar that has just completed
    assert feed.at_bars() == [None, "SELL"]
    feed.open(6)
    assert feed.at_bars() == [None, "BUY"]
    feed.close(6)
    assert feed.at_bars() == ["BUY", "BUY"]
    advise("STRONG_SELL", as_of=moment(5) + timedelta(minutes=1))
    feed.open(7)
    assert feed.at_bars() == ["BUY", "STRONG_SELL"]


def test_advice_that_expires_with_a_bar_does_not_count_at_it(feed):
    feed.open(5)
    advise("SELL", until=moment(5), symbol="IBM")
    advise("SELL", until=moment(5) + timedelta(seconds=1))
    feed.close(5)
    assert (feed.at_bars("IBM"), feed.at_bars()) == ([None, None], [None, "SELL"])
    feed.close(6)
    assert feed.at_bars() == ["SELL", None]


def test_each_symbol_has_its_own_last_two_bars(feed):
    feed.open(5)
    advise("SELL")
    advise("SELL", symbol="IBM")
    feed.close(5)
    advise("BUY")
    advise("BUY", symbol="IBM", as_of=moment(5))
    feed.close(6, "AAPL")
    assert (feed.at_bars(), feed.at_bars("IBM")) == (["BUY", "BUY"], [None, "BUY"])
    known_at = snapshots.current().bar_at
    assert known_at[:, 0].tolist() == [moment(5).timestamp(), moment(6).timestamp()]
    assert np.isnan(known_at[0, 1]) and known_at[1, 1] == moment(5).timestamp()


def test_sources_are_kept_apart_with_how_sure_and_how_new_they_were(feed):
    feed.open(5)
    advise("SELL", confidence=0.6)
    advise("BUY", source="other", confidence=0.9)
    feed.close(5)
    assert (feed.at_bars(), feed.at_bars(source="other")) == ([None, "SELL"], [None, "BUY"])
    frames = snapshots.current().recommendations
    assert [frames[name].completed_confidence[1, 0] for name in ("model", "other")] == [0.6, 0.9]
    assert frames["model"].completed_as_of[1, 0] == moment(5, OPEN).timestamp()


def test_it_is_read_again_only_when_a_bar_completes_or_somebody_has_pushed(feed, monkeypatch):
    reads = []

    def counted(**wanted):
        reads.append(wanted)
        return advice_at_bars(**wanted)

    monkeypatch.setattr(feed_state, "advice_at_bars", counted)
    feed.open(5)
    feed.close(5)
    after_the_bar = len(reads)
    for minute in range(3):
        feed.quote(moment(5) + timedelta(minutes=minute))
    assert len(reads) == after_the_bar
    advise("BUY", as_of=moment(5))
    for minute in range(3, 6):
        feed.quote(moment(5) + timedelta(minutes=minute))
    assert len(reads) == after_the_bar + 1
    assert feed.at_bars() == [None, "BUY"]
    advise("BUY", as_of=moment(5))  # known already: nothing is stored
    feed.quote(moment(5) + timedelta(minutes=6))
    assert len(reads) == after_the_bar + 1
    feed.close(6)
    assert len(reads) == after_the_bar + 2


def test_a_feed_that_starts_anew_knows_the_same(feed):
    feed.open(5)
    advise("SELL")
    feed.close(5)
    feed.open(6)
    advise("BUY", source="other")
    feed.close(6)
    lived, started = snapshots.current(), build_snapshot(load_state(), as_of=moment(6))
    np.testing.assert_array_equal(started.bar_at, lived.bar_at)
    assert started.recommendations.keys() == lived.recommendations.keys() == {"model", "other"}
    for source, frame in lived.recommendations.items():
        for name in ("completed", "completed_confidence", "completed_as_of"):
            np.testing.assert_array_equal(
                getattr(started.recommendations[source], name), getattr(frame, name)
            )


def test_hit_rates_are_read_again_only_on_another_day_or_when_something_was_stored(feed, monkeypatch):
    reads = []
    monkeypatch.setattr(feed_state, "hit_rates", lambda *, as_of: reads.append(as_of) or {"model": 0.6})
    feed.open(5)
    advise("BUY")
    feed.quote(moment(5, OPEN) + timedelta(minutes=1))
    of_the_day = len(reads)
    for minute in range(2, 5):
        feed.quote(moment(5, OPEN) + timedelta(minutes=minute))
    assert len(reads) == of_the_day
    snapshots._cache.clear()
    rate = snapshots.current().recommendations["model"].hit_rate
    np.testing.assert_array_equal(rate, [0.6, np.nan])  # it says nothing of IBM
    feed.open(6)
    assert len(reads) == of_the_day + 1
    advise("SELL", symbol="IBM")
    feed.quote(moment(6, OPEN) + timedelta(minutes=1))
    assert len(reads) == of_the_day + 2
