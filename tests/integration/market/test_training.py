"""The built-in model is learned from what is known, when it is due, by one trainer; its version is on its advice."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from foundation import leases
from journal.models import Entry
from market.core import model, recommender
from market.models import Bar, Instrument, Recommendation, RecommenderModel
from market.selectors import recent_bars
from market.services import snapshots, training
from market.services.baseline import recommend_latest
from market.services.load import load_sample_market
from market.services.training import LEASE_NAME, RETRAIN_SESSIONS, aligned_bars, train_if_due
from tests.unit.market.test_model import MADE

from .conftest import market_at

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
CLOSE = datetime(2004, 1, 2, 21, 0, tzinfo=UTC)


@pytest.fixture
def market(settings):
    """AAPL, IBM and MSFT up to the second of January 2004."""
    settings.REPLAY_START = "2004-01-03"
    load_sample_market()
    snapshots.publish(snapshot=market_at(CLOSE))


@dataclass
class Learner:
    """Stands for what learns: it notes what it was given and gives what it was told to."""

    parameters: Any = MADE
    is_worth_it: bool = True
    given: Any = None

    @property
    def metrics(self):
        counts = dict.fromkeys(("observations", "days", "judged"), 9)
        scores = ("base_rate", "brier", "brier_of_base_rate", "log_loss", "log_loss_of_base_rate")
        skill = 0.01 if self.is_worth_it else -0.01
        return {"skill": skill, "parts": [], **counts, **dict.fromkeys(scores, 0.25)}

    def __call__(self, *, bars, at):
        self.given = bars, at
        return self if self.parameters is not None else None


def train(learner=None, holder="one"):
    return train_if_due(learn=learner or Learner(), holder=holder)


def trained(*, bars_ago=0, **content):
    """A model that knows all bars but the newest so many."""
    times = Bar.objects.filter(instrument__symbol="IBM").order_by("-at").values_list("at", flat=True)
    row = {"version": f"model-{bars_ago}", "parameters": MADE.as_json(), "in_use": True} | content
    return RecommenderModel.objects.create(**{"trained_through": times[bars_ago]} | row)


def test_its_version_is_on_its_advice_and_its_advice_is_that_of_the_formula(market):
    stored = train()
    assert (stored.version, stored.trained_through) == (MADE.version(CLOSE.date()), CLOSE)
    assert recommend_latest() == 3
    for row in Recommendation.objects.select_related("instrument"):
        (history,) = recent_bars(instrument_ids=[row.instrument_id], count_max=2000).values()
        table = model.features(aligned_bars([history])[0])[:, -1, 0]
        up = float(model.probabilities(MADE, table))
        assert row.confidence == pytest.approx(max(up, 1 - up), abs=1e-9)
        assert row.recommendation == recommender.classify(up).name
        assert row.model_version == stored.version


def test_before_the_first_training_the_frequencies_advise(market):
    recommend_latest()
    assert set(Recommendation.objects.values_list("model_version", flat=True)) == {recommender.MODEL_VERSION}


def test_one_that_is_not_worth_it_is_kept_and_not_used(market):
    stored = train(Learner(is_worth_it=False))
    assert not stored.in_use and stored.metrics["skill"] < 0
    recommend_latest()
    assert set(Recommendation.objects.values_list("model_version", flat=True)) == {recommender.MODEL_VERSION}
    assert Entry.objects.filter(kind="recommender.rejected").count() == 1


def test_the_one_before_goes_on_when_a_newer_one_is_not_worth_it(market):
    trained(bars_ago=RETRAIN_SESSIONS)
    train(Learner(parameters=replace(MADE, slope=0.1), is_worth_it=False))
    recommend_latest()
    assert set(Recommendation.objects.values_list("model_version", flat=True)) == {
        f"model-{RETRAIN_SESSIONS}"
    }


def test_a_model_of_the_future_or_of_another_code_is_not_used(market):
    trained(version="later", trained_through=CLOSE + timedelta(seconds=1))
    trained(bars_ago=1, parameters=MADE.as_json() | {"features": ["stars"]})
    recommend_latest()
    assert set(Recommendation.objects.values_list("model_version", flat=True)) == {recommender.MODEL_VERSION}


def test_it_learns_from_the_bars_of_active_instruments_up_to_now(market):
    Instrument.objects.filter(symbol="MSFT").update(is_active=False)
    ibm = Instrument.objects.get(symbol="IBM")
    four = dict.fromkeys(("open", "high", "low", "close"), 1)
    Bar.objects.create(instrument=ibm, at=CLOSE + timedelta(days=1), volume=1, **four)
    learner = Learner()
    train(learner)
    bars, at = learner.given
    with_bars = Bar.objects.filter(instrument__is_active=True, at__lte=CLOSE)
    assert bars.shape[::2] == (5, with_bars.values("instrument").distinct().count())
    assert np.isfinite(at).sum() == with_bars.count()
    assert np.nanmax(at) == CLOSE.timestamp()
    newest = Bar.objects.get(instrument=ibm, at=CLOSE)
    assert float(newest.close) in bars[3, -1]


@pytest.mark.parametrize(("bars_ago", "due"), [(RETRAIN_SESSIONS - 1, False), (RETRAIN_SESSIONS, True)])
def test_it_is_due_after_so_many_days_with_bars(market, bars_ago, due):
    trained(bars_ago=bars_ago)
    learner = Learner()
    assert (train(learner) is not None, learner.given is not None) == (due, due)


def test_where_there_was_too_little_it_is_tried_again_on_the_next_day(market):
    stored = train(Learner(parameters=None))
    assert (stored.parameters, stored.in_use) == (None, False)
    assert train() is None
    RecommenderModel.objects.all().delete()
    trained(bars_ago=1, parameters=None, in_use=False)
    assert train().in_use
    assert not Entry.objects.filter(kind="recommender.rejected").exists()


def test_nobody_trains_beside_another(market):
    beside = []

    def learn(**given):
        beside.append(train(holder="two"))
        return Learner()

    assert train_if_due(learn=learn, holder="one") is not None
    assert beside == [None] and RecommenderModel.objects.count() == 1


def test_who_took_too_long_stores_nothing(market, monkeypatch):
    monkeypatch.setattr(training, "LEASE_SECONDS", -1)

    def learn(**given):
        assert leases.acquire(name=LEASE_NAME, holder="two", seconds=60) is not None
        return Learner()

    assert train_if_due(learn=learn, holder="one") is None
    assert not RecommenderModel.objects.exists()


def test_without_a_market_or_bars_there_is_nothing_to_learn_from(db):
    assert train() is None
    snapshots.publish(snapshot=market_at(CLOSE))
    assert train() is None
