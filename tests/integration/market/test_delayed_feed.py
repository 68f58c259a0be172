"""Where the market is told a quarter of an hour late its days end so much later, too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from foundation.errors import InvalidInput
from market.feed import providers
from market.models import CalendarDay, Exchange, Instrument
from market.services import snapshots
from market.services.feed_state import load_state
from market.services.recommendations import consult

from .conftest import market_at, moment
from .test_advice_stamped_now import Stamping

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
NOW = datetime(2026, 3, 10, 22, 0, tzinfo=UTC)
DELAY, BAR_AFTER = timedelta(minutes=15), timedelta(seconds=90)


@pytest.fixture
def closed_for(db, settings, monkeypatch):
    """A provider of that feed, whose exchange closed so long ago, and which was told the bar of the day."""

    def closed_for(time, feed):
        settings.MARKET_FEED, settings.ALPACA_DATA_FEED = "alpaca", feed
        monkeypatch.setattr(providers, "_utcnow", lambda: NOW)
        closes = NOW - time
        exchange = Exchange.objects.create(code="X", name="X", timezone="UTC")
        CalendarDay.objects.create(
            exchange=exchange, day=closes.date(), opens_at=closes - timedelta(hours=6), closes_at=closes
        )
        Instrument.objects.create(
            symbol="AAPL", name="AAPL", exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
        )
        provider = providers.build(state=load_state())
        begins = f"{closes.date()}T00:00:00Z"
        prices = dict.fromkeys("ohlcv", Decimal(10))
        provider._newest.take([{"T": "d", "S": "AAPL", "t": begins} | prices])
        return provider

    return closed_for


@pytest.mark.parametrize(
    ("feed", "time", "is_told"),
    [
        ("delayed_sip", DELAY, False),  # it has just been told of the close
        ("delayed_sip", DELAY + BAR_AFTER - timedelta(microseconds=1), False),
        ("delayed_sip", DELAY + BAR_AFTER, True),
        ("iex", BAR_AFTER, True),
    ],
)
def test_the_bar_of_a_day_is_taken_when_the_day_was_told_to_its_end(closed_for, feed, time, is_told):
    tick = closed_for(time, feed).poll(monotonic_now=0.0)
    assert (tick is not None and len(tick.bars) == 1) is is_told


def test_market_time_that_goes_on_by_itself_is_behind_too(closed_for, monkeypatch):
    provider = closed_for(timedelta(hours=1), "delayed_sip")
    assert provider.poll(monotonic_now=0.0).bars
    monkeypatch.setattr(type(provider._stream), "is_alive", True)
    idle = provider.poll(monotonic_now=60.0)
    assert idle.at == NOW - DELAY


@pytest.mark.usefixtures("instruments")
def test_advice_stamped_by_the_clock_is_taken_where_the_market_is_late(settings):
    snapshots.publish(snapshot=market_at(moment(7)))
    settings.MARKET_FEED, settings.ALPACA_DATA_FEED = "alpaca", "iex"
    with pytest.raises(InvalidInput):
        consult(Stamping(DELAY))
    settings.ALPACA_DATA_FEED = "delayed_sip"
    assert consult(Stamping(DELAY)) == 1
