"""The baseline model: no look-ahead, shrunk towards what is usual, and as unsure as it should be."""

import numpy as np
import pytest

from market import sample_data
from market.core import recommender
from market.core.recommendation import RecommendationClass


def walk(days=800, symbols=3, seed=3, drift=0.0):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(drift, 0.015, (days, symbols)), axis=0))
    at = np.repeat(np.arange(days, dtype=np.float64)[:, None], symbols, axis=1)
    return close, at


@pytest.fixture(scope="module")
def sample():
    bars = {}
    for bar in sample_data.adjusted_bars():
        if bar.symbol in {"AAPL", "IBM", "MSFT"}:
            bars.setdefault(bar.symbol, []).append(float(bar.close))
    close = np.array(list(bars.values())).T
    return close, np.repeat(np.arange(len(close), dtype=np.float64)[:, None], 3, axis=1)


def test_altering_the_future_changes_nothing():
    close, at = walk()
    altered = close.copy()
    altered[601:] *= np.linspace(0.2, 5, len(close) - 601)[:, None]
    before = recommender.recommend(close=close, at=at, as_of=600.0)
    assert len(before) == 3
    assert recommender.recommend(close=altered, at=at, as_of=600.0) == before
    assert recommender.recommend(close=close[:601], at=at[:601], as_of=600.0) == before


def test_altering_the_past_does_change_it():
    close, at = walk()
    altered = close.copy()
    altered[:500] = altered[:500][::-1]
    assert recommender.recommend(close=altered, at=at, as_of=600.0) != recommender.recommend(
        close=close, at=at, as_of=600.0
    )


def test_a_coin_toss_is_recognised_as_one():
    close, at = walk(days=2000, symbols=5)
    for advice in recommender.recommend(close=close, at=at, as_of=1999.0):
        assert 0.4 < advice.probability_up < 0.6
        assert 0.5 <= advice.confidence < 0.6


def test_a_price_that_always_rises_is_a_strong_buy_yet_never_certain():
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(np.abs(rng.normal(0.01, 0.004, (800, 2))), axis=0))
    at = np.repeat(np.arange(800, dtype=np.float64)[:, None], 2, axis=1)
    for advice in recommender.recommend(close=close, at=at, as_of=799.0):
        assert advice.recommendation is RecommendationClass.STRONG_BUY
        assert 0.9 < advice.confidence < 1.0
        assert advice.expected_return_percentage > 0


def test_confidence_on_real_prices_is_the_probability_of_the_likelier_side_and_seldom_high(sample):
    close, at = sample
    advice = [
        each
        for day in range(1000, len(close) - 6, 97)
        for each in recommender.recommend(close=close, at=at, as_of=float(day))
    ]
    assert len(advice) > 60
    assert all(each.confidence == max(each.probability_up, 1 - each.probability_up) for each in advice)
    assert sum(each.confidence > 0.8 for each in advice) <= 0.01 * len(advice)
    assert len({each.recommendation for each in advice}) >= 3


def test_on_real_prices_it_is_not_badly_calibrated(sample):
    """Brier score no worse than that of always saying one half (0.25) by more than noise."""
    close, at = sample
    errors = [
        (each.probability_up - (close[day + 5, each.column] > close[day, each.column])) ** 2
        for day in range(1000, len(close) - 6, 37)
        for each in recommender.recommend(close=close, at=at, as_of=float(day))
    ]
    assert np.mean(errors) < 0.26


def test_too_little_history_gives_no_advice():
    close, at = walk(days=60, symbols=2)
    assert recommender.recommend(close=close, at=at, as_of=59.0) == []


def test_a_new_listing_gets_none_until_its_state_is_known():
    close, at = walk(symbols=2)
    close[:-10, 1] = np.nan
    at[:-10, 1] = np.nan
    assert [each.column for each in recommender.recommend(close=close, at=at, as_of=799.0)] == [0]


def test_an_own_history_that_is_short_is_shrunk_to_the_common_one():
    close, at = walk(symbols=2, drift=0.002)
    short_close, short_at = close.copy(), at.copy()
    short_close[:-60, 1] = np.nan
    short_at[:-60, 1] = np.nan
    common, short = recommender.recommend(close=short_close, at=short_at, as_of=799.0)
    assert 0.3 < short.probability_up < 0.9
    assert common.column == 0
    assert short.column == 1


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.65, "STRONG_BUY"),
        (0.64, "BUY"),
        (0.55, "BUY"),
        (0.54, "HOLD"),
        (0.46, "HOLD"),
        (0.45, "SELL"),
        (0.36, "SELL"),
        (0.35, "STRONG_SELL"),
    ],
)
def test_the_class_follows_from_the_probability_alone(probability, expected):
    assert recommender.classify(probability).name == expected


def test_a_flat_price_has_no_state():
    assert (recommender.states(np.full((60, 1), 5.0)) == -1).all()
