"""A tick becomes known as a whole, by the holder of the lease only, and survives a restart."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from foundation import leases, wakeups
from foundation.clock import database_now
from market.core.recommendation import RecommendationItem
from market.core.ticks import BarTick, QuoteTick, Tick
from market.models import Bar, Quote, Snapshot
from market.services import snapshots
from market.services.feed_state import load_state
from market.services.ingest import LeaseLost, apply_tick
from market.services.recommendations import record

from .conftest import OPEN, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]


def quote(symbol, price):
    price = Decimal(price)
    return QuoteTick(symbol, price - Decimal("0.01"), price + Decimal("0.01"), price, Decimal(0))


def opening(day, price="100"):
    return Tick(at=moment(day, OPEN), quotes=(quote("AAPL", price), quote("IBM", "100")))


def closing(day, price="101"):
    close = Decimal(price)
    bars = tuple(
        BarTick(symbol, close, close + 1, close - 1, close, Decimal(1000)) for symbol in ("AAPL", "IBM")
    )
    return Tick(at=moment(day), quotes=(quote("AAPL", price), quote("IBM", price)), bars=bars)


def apply(state, lease, *ticks):
    return [apply_tick(state=state, tick=tick, lease=lease, lease_seconds=60) for tick in ticks]


def test_a_tick_stores_quotes_completed_bars_and_the_snapshot(lease):
    before = database_now()
    assert apply(load_state(), lease, opening(5), closing(5, "101.25")) == [1, 2]
    stored = Quote.objects.get(instrument__symbol="AAPL")
    assert (stored.bid, stored.last, stored.ask) == (Decimal("101.24"), Decimal("101.25"), Decimal("101.26"))
    assert stored.market_time == moment(5)
    assert before < stored.received_at <= database_now()
    bar = Bar.objects.get(instrument__symbol="AAPL")
    assert (bar.at, bar.high, bar.close) == (moment(5), Decimal("102.25"), Decimal("101.25"))

    market = snapshots.current()
    assert (market.version, market.as_of) == (2, moment(5))
    assert market.symbols == ("AAPL", "IBM")
    assert market.price("AAPL") == market.price("IBM") == Decimal("101.25")
    assert market.bid_price("AAPL") == Decimal("101.24")
    assert market.market_time.tolist() == [moment(5).timestamp()] * 2
    assert market.price_received_at[0] == pytest.approx(stored.received_at.timestamp(), abs=1e-3)


def test_a_bar_is_not_known_before_its_close(lease):
    state = load_state()
    apply(state, lease, opening(5))
    assert not Bar.objects.exists()
    assert np.isnan(snapshots.current().completed).all()


@pytest.mark.parametrize(
    ("at", "is_open", "has_session"),
    [
        (moment(5, OPEN), True, True),
        (moment(5), True, True),  # the closing auction
        (moment(5) + timedelta(minutes=1), False, True),
        (datetime(2004, 1, 10, 15, 0, tzinfo=UTC), False, False),  # Saturday
    ],
)
def test_the_snapshot_knows_the_exchanges_hours(lease, at, is_open, has_session):
    apply(load_state(), lease, Tick(at=at, quotes=(quote("AAPL", "100"),)))
    market = snapshots.current()
    assert market.is_open.tolist() == [is_open, is_open]
    assert np.isfinite(market.opens_at).all() == has_session
    if has_session:
        assert market.opens_at[0] == moment(5, OPEN).timestamp()
        assert market.closes_at[0] == moment(5).timestamp()


def test_a_symbol_keeps_its_own_time_when_only_another_was_quoted(lease):
    state = load_state()
    later = Tick(at=moment(5), quotes=(quote("IBM", "101"),))
    apply(state, lease, opening(5), later)
    market = snapshots.current()
    assert market.price("AAPL") == 100
    assert market.market_time.tolist() == [moment(5, OPEN).timestamp(), moment(5).timestamp()]


def test_a_state_that_is_loaded_again_publishes_the_same_values(lease):
    state = load_state()
    for day in (5, 6, 7, 8):
        apply(state, lease, opening(day, f"10{day}"), closing(day, f"10{day}.5"))
    restarted = load_state()
    apply(state, lease, opening(9))
    expected = snapshots.current()
    apply(restarted, lease, opening(9))
    actual = snapshots.current()
    for name in ("values", "completed", "market_time", "bid", "ask"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    assert actual.column("change_percentage_1d")[0] == pytest.approx((100 / 108.5 - 1) * 100)


def test_whoever_lost_the_lease_publishes_nothing(lease):
    leases.release(lease)
    assert leases.acquire(name="market.feed", holder="successor", seconds=60)
    with pytest.raises(LeaseLost):
        apply(load_state(), lease, opening(5))
    assert not Snapshot.objects.exists()
    assert not Quote.objects.exists()


def test_an_older_tick_is_put_aside_and_changes_nothing(lease):
    state = load_state()
    apply(state, lease, closing(6))
    assert apply(state, lease, closing(5)) == [1]
    assert Snapshot.objects.count() == 1
    assert Bar.objects.filter(at=moment(5)).count() == 0
    assert Quote.objects.first().market_time == moment(6)


def test_a_bar_that_was_imported_before_is_not_rewritten(lease, instruments):
    Bar.objects.create(instrument=instruments[0], at=moment(5), open=7, high=7, low=7, close=7, volume=7)
    apply(load_state(), lease, closing(5))
    assert Bar.objects.get(instrument=instruments[0]).close == 7
    assert Bar.objects.filter(instrument=instruments[1]).count() == 1


def test_the_snapshot_carries_the_advice_of_each_source(lease):
    state = load_state()
    apply(state, lease, opening(5))
    item = RecommendationItem(
        external_id="1", symbol="IBM", recommendation="BUY", confidence=0.7, expires_at=moment(6)
    )
    (identity,) = record(source="model", description="", items=[item]).created
    apply(state, lease, closing(5))
    frame = snapshots.current().recommendations["model"]
    assert frame.ids == (None, str(identity))
    assert np.isnan(frame.codes[0])
    assert (frame.codes[1], frame.confidence[1]) == (3, 0.7)
    assert np.isnan(frame.expected_return[1])
    assert frame.as_of[1] == moment(5, OPEN).timestamp()
    apply(state, lease, closing(6))
    frame = snapshots.current().recommendations["model"]
    assert (
        frame.ids == (None, None) and np.isnan(frame.codes).all()
    )  # expired; it still counted at the last bar
    apply(state, lease, closing(7))
    assert "model" not in snapshots.current().recommendations


def test_the_recommender_is_woken_when_bars_complete(lease, monkeypatch, django_capture_on_commit_callbacks):
    woken = []
    monkeypatch.setattr(wakeups, "wake", lambda name, *, queue, kwargs: woken.append((name, queue)))
    state = load_state()
    with django_capture_on_commit_callbacks(execute=True):
        apply(state, lease, opening(5))
    assert "market.tasks.recommend_baseline" not in dict(woken)
    with django_capture_on_commit_callbacks(execute=True):
        apply(state, lease, closing(5))
    assert ("market.tasks.recommend_baseline", "market") in woken


def test_an_inactive_instrument_is_not_in_the_market(lease, instruments):
    instruments[1].is_active = False
    instruments[1].save()
    apply(load_state(), lease, closing(5))
    assert snapshots.current().symbols == ("AAPL",)
    assert not Bar.objects.filter(instrument=instruments[1]).exists()
