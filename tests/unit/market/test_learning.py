"""What is learned: a planted signal is found and calibrated, noise is not; the future is never looked at."""

import subprocess
import sys

import numpy as np
import pytest

from market import learning
from market.core import model
from market.core.calibration import wilson
from market.learning import DAYS_MIN, FOLDS, OBSERVATIONS_MIN, learn

DAY = 86_400.0


def bars(*, signal, days=1500, symbols=8, seed=11):
    """Prices whose next days drift the way in which the last five went, as strongly as `signal`."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.01, (days, symbols))
    for day in range(6, days):
        moves[day] += signal * np.sign(moves[day - 5 : day].sum(axis=0)) * 0.01
    close = 100 * np.exp(np.cumsum(moves, axis=0))
    volume = np.exp(rng.normal(12, 0.3, (days, symbols)))
    at = np.repeat((np.arange(days) * DAY)[:, None], symbols, axis=1)
    return np.stack([close, close * 1.004, close * 0.996, close, volume]), at


@pytest.fixture(scope="module")
def planted():
    given, at = bars(signal=0.3)
    return given, at, learn(bars=given[:, :1000], at=at[:1000])


def test_a_planted_signal_is_found_and_worth_it(planted):
    _, _, learned = planted
    assert learned.is_worth_it and learned.metrics["skill"] > 0.02
    assert learned.metrics["log_loss"] < learned.metrics["log_loss_of_base_rate"]
    assert len(learned.metrics["parts"]) == FOLDS - 1
    assert sum(part["judged"] for part in learned.metrics["parts"]) == learned.metrics["judged"]


def test_on_days_that_nothing_was_fitted_on_it_comes_true_as_often_as_it_says(planted):
    given, _, learned = planted
    said = model.probabilities(learned.parameters, model.features(given))[1005:]
    rose = model.forward_returns(given[3])[1005:]
    known = np.isfinite(said) & np.isfinite(rose)
    for low, high in ((0.3, 0.45), (0.55, 0.7)):
        inside = known & (said >= low) & (said < high)
        assert inside.sum() > 300
        # Five-day windows overlap: five neighbouring days are one observation.
        count = int(inside.sum()) // model.HORIZON
        bounds = wilson(round(float((rose[inside] > 0).mean()) * count), count)
        assert bounds[0] <= said[inside].mean() <= bounds[1]


def test_in_noise_there_is_next_to_nothing_to_find():
    given, at = bars(signal=0.0)
    learned = learn(bars=given, at=at)
    assert learned.metrics["skill"] < 0.005
    said = model.probabilities(learned.parameters, model.features(given))
    assert np.nanmin(said) > 0.4 and np.nanmax(said) < 0.6


def test_what_is_not_worth_it_says_so():
    """The market turns: what went on in the first part reverses in the second."""
    first, at = bars(signal=0.4, days=700)
    second, _ = bars(signal=-0.4, days=700, seed=12)
    second[:4] *= first[3, -1] / second[3, 0]
    learned = learn(bars=np.concatenate([first, second], axis=1), at=np.concatenate([at, at + 700 * DAY]))
    assert not learned.is_worth_it


def test_it_is_the_same_each_time(planted):
    given, at, learned = planted
    assert learn(bars=given[:, :1000], at=at[:1000]) == learned


def test_what_would_have_been_said_of_a_day_does_not_know_what_came_after_it():
    rng = np.random.default_rng(9)
    days = np.arange(600.0)
    day = np.repeat(days, 4)
    rows = rng.normal(size=(len(day), 3))
    rose = rows[:, 0] + rng.normal(size=len(day)) > 0
    unseen = learning._walk_forward(rows, rose, day, days)
    said = learning._honest(unseen, days)
    for number in range(1, FOLDS):
        first = unseen.day[unseen.fold == number].min()
        turned = np.where(day >= first - model.HORIZON, ~rose, rose)  # outcomes that were not known by then
        again = learning._walk_forward(rows, turned, day, days)
        before = unseen.fold <= number
        np.testing.assert_array_equal(learning._honest(again, days)[before], said[before])
    assert np.isnan(said[unseen.fold == 0]).all() and np.isfinite(said[unseen.fold > 0]).all()


def test_too_few_days_teach_nothing():
    given, at = bars(signal=0.3)
    few = DAYS_MIN + 250
    assert learn(bars=given[:, :few], at=at[:few]) is None
    assert learn(bars=given[:, :, :1], at=at[:, :1]) is None and OBSERVATIONS_MIN > 1500


def test_prices_that_only_rise_teach_nothing():
    _, at = bars(signal=0.0)
    rng = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(np.abs(rng.normal(0.01, 0.004, at.shape)), axis=0))
    assert learn(bars=np.stack([close, close * 1.004, close * 0.996, close, close]), at=at) is None


def test_who_predicts_does_not_load_what_learns():
    text = "import sys, market.core.model, market.core.recommender; print('sklearn' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
