"""An instrument that the provider of market data cannot have costs nobody else his prices, and people are told."""

import time
from decimal import Decimal

import pytest

from journal.models import Alert
from market.feed.providers import build
from market.models import Instrument
from market.services.feed_state import load_state

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def provider(settings, market_data, instruments, exchange):
    """Of AAPL, IBM and ^VIX."""
    Instrument.objects.create(
        symbol="^VIX", name="Volatility", exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )
    settings.MARKET_FEED = "alpaca"
    settings.ALPACA_DATA_URL, settings.ALPACA_DATA_STREAM_URL = market_data.base_url, market_data.stream_url
    settings.ALPACA_DATA_KEY_ID, settings.ALPACA_DATA_SECRET = "PKDATA", "the-secret-of-the-data"
    provider = build(state=load_state())
    yield provider
    provider.close()


def test_the_others_are_subscribed_to(provider, market_data):
    provider.resume(after=None)
    end = time.monotonic() + 30
    while not (subscribed := market_data.state()["subscribed"]):
        assert time.monotonic() < end, "nobody subscribed in time"
        time.sleep(0.05)
    assert subscribed["quotes"] == ["AAPL", "IBM"]


def test_people_are_told_which_and_not_at_each_start(provider):
    build(state=load_state()).close()
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity) == ("market.symbol_left_out", "warning")
    assert "^VIX" in alert.message and "deactivate" in alert.message.lower()
