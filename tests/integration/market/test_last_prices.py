"""A feed that starts anew in the middle of the day knows what was traded last."""

from decimal import Decimal

import pytest

from market.core.ticks import QuoteTick, Tick
from market.feed.providers import build
from market.services.feed_state import load_state
from market.services.ingest import apply_tick

from .conftest import OPEN, moment
from .test_units_of_bars import split

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def last_traded_at_50(instruments, lease, settings):
    settings.MARKET_FEED = "alpaca"
    quote = QuoteTick("AAPL", Decimal(48), Decimal(52), Decimal(50), Decimal(0))
    apply_tick(state=load_state(), tick=Tick(at=moment(9), quotes=(quote,)), lease=lease, lease_seconds=60)


def last_of(bid, ask):
    """What a provider that was built just now says of AAPL when it is quoted, and nobody has traded."""
    newest = build(state=load_state())._newest
    newest.take(
        [{"T": "q", "S": "AAPL", "bp": Decimal(bid), "ap": Decimal(ask), "t": "2004-01-12T15:00:00Z"}]
    )
    return newest.drain().quotes[0].last


@pytest.mark.usefixtures("last_traded_at_50")
def test_a_wide_quote_after_a_restart_is_no_trade():
    assert last_of(40, 52) == 50


@pytest.mark.usefixtures("last_traded_at_50")
def test_a_split_since_then_is_counted_out():
    split(ex_at=moment(12, OPEN), new_units=5, old_units=4)
    assert last_of(34, 44) == 40
