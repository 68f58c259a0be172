"""The lists that the API and the admin show, in their order."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from market import selectors
from market.core.recommendation import RecommendationItem
from market.feed.providers import build
from market.models import Bar, Quote
from market.services import snapshots
from market.services.feed_state import load_state
from market.services.recommendations import record

from .conftest import market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_bars_of_a_symbol_come_newest_first(instruments):
    for day in (5, 7, 6):
        Bar.objects.create(
            instrument=instruments[0], at=moment(day), open=1, high=1, low=1, close=1, volume=day
        )
    Bar.objects.create(instrument=instruments[1], at=moment(8), open=1, high=1, low=1, close=1, volume=8)
    assert [int(bar.volume) for bar in selectors.bars(symbol="AAPL")] == [7, 6, 5]
    assert not selectors.bars(symbol="XYZ").exists()


def test_instruments_and_quotes_come_by_symbol(instruments, django_assert_num_queries):
    for instrument in reversed(instruments):
        Quote.objects.create(
            instrument=instrument,
            bid=1,
            ask=1,
            last=1,
            volume=0,
            market_time=moment(5),
            received_at=moment(5),
        )
    with django_assert_num_queries(2):
        assert [quote.instrument.symbol for quote in selectors.quotes()] == ["AAPL", "IBM"]
        assert [row.exchange.name for row in selectors.instruments()] == ["New York", "New York"]


def test_recommendations_come_newest_first_expired_ones_included(instruments):
    snapshots.publish(snapshot=market_at(moment(9)))
    record(
        source="model",
        description="",
        items=[
            RecommendationItem(
                external_id=str(day), symbol="IBM", recommendation="BUY", confidence=0.5, as_of=moment(day)
            )
            for day in (6, 8, 5)
        ],
    )
    assert [row.external_id for row in selectors.recommendations()] == ["8", "6", "5"]


def test_a_feed_that_does_not_exist_is_named(instruments, settings):
    settings.MARKET_FEED = "carrier pigeon"
    with pytest.raises(ImproperlyConfigured, match="carrier pigeon"):
        build(state=load_state())
