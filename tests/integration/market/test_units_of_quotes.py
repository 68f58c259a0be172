"""A symbol that nobody has quoted since its split keeps its last price, in units of after it."""

from decimal import Decimal

import pytest

from market.core.ticks import QuoteTick, Tick
from market.models import Quote
from market.services import snapshots
from market.services.feed_state import load_state
from market.services.ingest import apply_tick

from .conftest import OPEN, moment
from .test_units_of_bars import split

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]


def say(state, lease, at, **prices):
    quotes = tuple(
        QuoteTick(symbol, Decimal(price) - 1, Decimal(price) + 1, Decimal(price), Decimal(0))
        for symbol, price in prices.items()
    )
    apply_tick(state=state, tick=Tick(at=at, quotes=quotes), lease=lease, lease_seconds=60)


def known(symbol):
    snapshot = snapshots.current()
    return snapshot.bid_price(symbol), snapshot.price(symbol), snapshot.ask_price(symbol)


@pytest.mark.parametrize("restarted", [False, True], ids=["while the feed runs", "over a restart"])
def test_another_symbols_tick_brings_the_ex_time(lease, restarted):
    split()
    state = load_state()
    say(state, lease, moment(9), AAPL=100, IBM=80)
    received = Quote.objects.get(instrument__symbol="AAPL").received_at.timestamp()
    say(state, lease, moment(12, OPEN), IBM=81)
    if restarted:
        state = load_state()
        say(state, lease, moment(12, OPEN), IBM=82)
    assert known("AAPL") == (Decimal("49.5"), 50, Decimal("50.5"))
    snapshot = snapshots.current()
    place = snapshot.index("AAPL")
    assert snapshot.market_time[place] == moment(9).timestamp(), "it was not quoted anew"
    assert snapshot.price_received_at[place] == pytest.approx(received)
    assert not snapshot.trades(place)
    say(state, lease, moment(13, OPEN), AAPL=51)
    assert known("AAPL") == (50, 51, 52)
    assert Quote.objects.get(instrument__symbol="AAPL").last == 51


def test_a_split_that_is_recorded_late_is_known_with_the_next_tick(lease):
    state = load_state()
    say(state, lease, moment(9), AAPL=100, IBM=80)
    say(state, lease, moment(12), IBM=81)
    split()
    say(load_state(), lease, moment(13), IBM=82)
    assert known("AAPL")[1] == 50
