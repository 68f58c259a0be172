"""The model's arithmetic: features of the past only, comparable over symbols, and a probability from a few numbers."""

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from market.core import indicators
from market.core.model import (
    BOUND,
    FEATURES,
    HISTORY_NEEDED,
    Parameters,
    advise,
    expected_return,
    features,
    forward_returns,
    probabilities,
)
from market.core.recommender import classify

COUNT = len(FEATURES)
MADE = Parameters(
    features=FEATURES,
    means=tuple(0.1 * place for place in range(COUNT)),
    deviations=tuple(1.0 + place for place in range(COUNT)),
    coefficients=tuple(0.3 - 0.05 * place for place in range(COUNT)),
    intercept=0.2,
    slope=0.5,
    offset=-0.1,
    gain=3.0,
    loss=-2.0,
)


def bars(days=500, symbols=3, seed=3, scale=1.0):
    rng = np.random.default_rng(seed)
    close = scale * 100 * np.exp(np.cumsum(rng.normal(0, 0.015, (days, symbols)), axis=0))
    spread = np.abs(rng.normal(0, 0.01, (days, symbols)))
    volume = np.exp(rng.normal(12, 0.5, (days, symbols)))
    return np.stack([close, close * (1 + spread), close * (1 - spread), close, volume])


def test_altering_the_future_changes_no_feature():
    original, altered = bars(), bars()
    altered[:, 401:] *= 3
    np.testing.assert_array_equal(features(original)[:, :401], features(altered)[:, :401])
    assert not np.array_equal(features(original)[:, 401:], features(altered)[:, 401:])


def test_features_are_what_they_say():
    table, given = features(bars()), bars()
    close = given[3, :, 0]
    returns = np.diff(np.log(close))
    usual = returns[-20:].std(ddof=1)
    told = dict(zip(FEATURES, table[:, -1, 0], strict=True))
    assert told["momentum_5"] == pytest.approx(math.log(close[-1] / close[-6]) / (usual * math.sqrt(5)))
    assert told["sma_50"] == pytest.approx(math.log(close[-1] / close[-50:].mean()) / (usual * math.sqrt(50)))
    assert told["rsi"] == pytest.approx((indicators.rsi(given[3])[-1, 0] - 50) / 50)
    assert told["volatility_ratio"] == pytest.approx(math.log(usual / returns[-60:].std(ddof=1)))
    assert told["relative_volume"] == pytest.approx(math.log(given[4, -1, 0] / given[4, -21:-1, 0].mean()))
    assert told["high_distance"] == pytest.approx(min(0, close[-1] / given[1, -252:, 0].max() - 1))


def test_a_price_in_another_currency_has_the_same_features():
    np.testing.assert_allclose(features(bars()), features(bars(scale=150.0)), atol=1e-9)


def test_what_is_not_known_is_unknown_and_what_is_wild_is_cut():
    given = bars()
    given[3, 300:] *= 1000
    table = features(given)
    assert np.nanmax(np.abs(table)) == BOUND
    assert np.isnan(table[:, 0]).any(axis=0).all()
    still = np.stack([np.full((400, 1), 10.0)] * 5)
    assert np.isnan(
        features(still)[FEATURES.index("momentum_5")]
    ).all()  # nothing moves: nothing to measure by


def test_a_prediction_needs_no_more_history_than_it_says():
    given = bars(days=900)
    np.testing.assert_allclose(
        features(given)[:, -1], features(given[:, -HISTORY_NEEDED:])[:, -1], rtol=1e-6, atol=1e-8
    )


def test_a_label_is_the_return_of_five_bars_later():
    close = np.arange(1.0, 9.0)[:, None]
    np.testing.assert_allclose(forward_returns(close)[:3, 0], [500, 250, 500 / 3])
    assert np.isnan(forward_returns(close)[3:]).all() and np.isnan(forward_returns(close[:5])).all()


def test_the_probability_is_that_of_the_formula():
    day = [0.5 - 0.1 * place for place in range(COUNT)]
    score = 0.2 + sum(
        (0.3 - 0.05 * place) * (day[place] - 0.1 * place) / (1.0 + place) for place in range(COUNT)
    )
    expected = 1 / (1 + math.exp(-(0.5 * score - 0.1)))
    assert probabilities(MADE, np.array(day)) == pytest.approx(expected, abs=1e-12)
    many = np.tile(np.array(day)[:, None, None], (1, 4, 2))
    many[3, 1, 1] = np.nan
    told = probabilities(MADE, many)
    assert told.shape == (4, 2) and np.isnan(told[1, 1]) and np.isfinite(told).sum() == 7


def test_the_expected_return_weighs_gains_and_losses():
    assert expected_return(MADE, 0.6) == pytest.approx(0.6 * 3 - 0.4 * 2)


def test_it_advises_where_the_newest_bar_is_known_by_then():
    given = bars(symbols=4)
    given[:, :-10, 2] = np.nan  # too little history
    at = np.repeat(np.arange(500.0)[:, None], 4, axis=1)
    at[-1, 3] = 500  # one bar later than the rest
    told = advise(MADE, bars=given, at=at, as_of=499.0)
    assert [advice.column for advice in told] == [0, 1]
    up = probabilities(MADE, features(given)[:, -1])
    for advice in told:
        probability = float(up[advice.column])
        assert (advice.probability_up, advice.recommendation) == (probability, classify(probability))
        assert advice.confidence == max(probability, 1 - probability)
        assert advice.expected_return_percentage == expected_return(MADE, probability)


def test_as_json_it_is_the_same_model_with_the_same_name():
    copy = Parameters.from_json(json.loads(json.dumps(MADE.as_json())))
    assert copy == MADE
    assert copy.version(date(2004, 1, 5)) == MADE.version(date(2004, 1, 5))
    assert copy.version(date(2004, 1, 5)).startswith("baseline-logistic-2004-01-05-")
    assert replace(MADE, offset=-0.2).version(date(2004, 1, 5)) != MADE.version(date(2004, 1, 5))


@pytest.mark.parametrize(
    "change",
    [
        {"features": FEATURES[:-1]},
        {"means": MADE.means[:-1]},
        {"intercept": math.nan},
        {"coefficients": (math.inf, *MADE.coefficients[1:])},
        {"deviations": (0.0, *MADE.deviations[1:])},
    ],
)
def test_numbers_that_are_none_of_this_model_are_refused(change):
    with pytest.raises(ValueError, match="parameters"):
        replace(MADE, **change)
