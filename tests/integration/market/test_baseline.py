"""The built-in recommender on stored bars: once for each bar, with the market time of that bar."""

from datetime import UTC, datetime

import pytest

from market.core import recommender
from market.feed.runner import PRUNE_TASK
from market.models import Bar, Instrument, Recommendation
from market.services import recommendations, snapshots
from market.services.baseline import recommend_latest
from market.services.ingest import RECOMMEND_TASK
from market.services.load import load_sample_market
from market.tasks import prune_snapshots, recommend_baseline

from .conftest import market_at

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CLOSE = datetime(2001, 6, 29, 20, 0, tzinfo=UTC)


@pytest.fixture
def market(settings):
    """AAPL, IBM and MSFT up to the last session of June 2001."""
    settings.REPLAY_START = "2001-06-30"
    load_sample_market()
    snapshots.publish(snapshot=market_at(CLOSE))


def test_without_a_market_there_is_nothing_to_recommend():
    assert recommend_latest() == 0


def test_it_recommends_once_for_each_instrument_with_a_bar(market):
    recommend_baseline()
    stored = {row.instrument.symbol: row for row in Recommendation.objects.select_related("instrument")}
    assert set(stored) == {"AAPL", "IBM", "MSFT"}
    for symbol, row in stored.items():
        assert row.external_id == f"{symbol}:2001-06-29"
        assert (row.source_id, row.model_version) == ("baseline", recommender.MODEL_VERSION)
        assert row.as_of == CLOSE
        assert row.expires_at == datetime(2001, 7, 9, 20, 0, tzinfo=UTC)  # five sessions and a holiday
        assert 0.5 <= row.confidence <= 1
    assert recommend_latest() == 0
    assert Recommendation.objects.count() == 3


def test_more_than_can_be_stored_at_once_is_stored_in_parts(market, monkeypatch):
    monkeypatch.setattr(recommendations, "ITEMS_MAX", 2)
    assert recommend_latest() == 3
    assert Recommendation.objects.count() == 3


def test_what_is_missing_is_made_up_for(market):
    recommend_latest()
    before = dict(Recommendation.objects.values_list("external_id", "confidence"))
    Recommendation.objects.filter(instrument__symbol="IBM").delete()
    assert recommend_latest() == 1
    assert dict(Recommendation.objects.values_list("external_id", "confidence")) == before


def test_a_bar_whose_advice_would_have_expired_gets_none(market):
    snapshots.publish(snapshot=market_at(datetime(2001, 7, 10, 20, 0, tzinfo=UTC)))
    assert recommend_latest() == 0


def test_an_inactive_instrument_gets_none(market):
    Instrument.objects.filter(symbol="IBM").update(is_active=False)
    assert recommend_latest() == 2


def test_too_little_history_gives_none(market):
    Bar.objects.filter(at__lt="2001-06-01T00:00Z").delete()
    assert recommend_latest() == 0
    assert not Recommendation.objects.exists()


def test_the_tasks_are_known_by_the_names_that_wake_ups_send(market):
    assert recommend_baseline.name == RECOMMEND_TASK
    assert prune_snapshots.name == PRUNE_TASK
    prune_snapshots()
    assert snapshots.current_version() == 1
