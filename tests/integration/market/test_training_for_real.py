"""The task itself, on the shipped market: outside of any transaction, as it takes a while."""

import pytest

from journal.models import Entry
from market.core import model
from market.models import RecommenderModel
from market.services import snapshots
from market.services.load import load_sample_market
from market.tasks import train_recommender
from trading.services.schedule import SWEEPS

from .conftest import market_at
from .test_training import CLOSE

pytestmark = pytest.mark.integration


def test_the_task_learns_from_the_shipped_market_and_tells_what_it_is_worth(committed_db, settings):
    settings.REPLAY_START = "2004-01-03"
    load_sample_market()
    snapshots.publish(snapshot=market_at(CLOSE))
    train_recommender()
    stored = RecommenderModel.objects.get()
    assert stored.parameters is not None and stored.trained_through == CLOSE
    assert stored.in_use == (stored.metrics["skill"] > 0)
    assert stored.metrics["judged"] > 1000
    assert stored.version == model.Parameters.from_json(stored.parameters).version(CLOSE.date())
    told = Entry.objects.get(kind="recommender.trained" if stored.in_use else "recommender.rejected")
    assert stored.version in told.payload
    sweep = next(sweep for sweep in SWEEPS if sweep.task == train_recommender.name)
    assert sweep.queue == "training"
