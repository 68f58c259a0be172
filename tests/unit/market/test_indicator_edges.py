"""What every indicator says at the edges: too little history, gaps, flat prices, no volume, splits."""

import math
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from market.core import indicators
from market.core.adjustment import RawBar, adjust
from market.core.features import WINDOW, bar_features
from market.core.fields import FIELD_NAMES

NAN = math.nan
DAYS = 300

# name: (of float64[T, 1] high, low, close, volume; how many bars it needs)
INDICATORS = {
    "sma": (lambda high, low, close, volume: indicators.sma(close, 20), 20),
    "change_percentage": (lambda high, low, close, volume: indicators.change_percentage(close, 5), 6),
    "volatility": (lambda high, low, close, volume: indicators.volatility(close), 21),
    "relative_volume": (lambda high, low, close, volume: indicators.relative_volume(volume), 21),
    "rsi": (lambda high, low, close, volume: indicators.rsi(close), 15),
    "true_range": (lambda high, low, close, volume: indicators.true_range(high, low, close), 2),
    "atr": (lambda high, low, close, volume: indicators.atr(high, low, close), 15),
    "highest": (lambda high, low, close, volume: indicators.highest(high), 252),
    "daily_returns": (lambda high, low, close, volume: indicators.daily_returns(close), 2),
}


@pytest.fixture(params=INDICATORS)
def indicator(request):
    return INDICATORS[request.param]


def walk(days=DAYS):
    """high, low, close, volume, each float64[T, 1]."""
    rng = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, 1)), axis=0))
    return close * 1.01, close * 0.99, close, rng.uniform(1e5, 2e5, (days, 1))


def test_it_is_known_from_the_bar_on_at_which_it_has_enough_and_not_before(indicator):
    function, needs = indicator
    known = np.isfinite(function(*walk())[:, 0])
    assert not known[: needs - 1].any() and known[needs - 1 :].all()
    too_few = function(*walk(needs - 1))
    assert too_few.shape == (needs - 1, 1) and np.isnan(too_few).all()


def test_a_gap_makes_it_unknown_until_it_has_left_the_window(indicator):
    function, needs = indicator
    bars = walk(2 * needs + 10)
    whole = function(*bars)[:, 0]
    gap = needs + 5
    for column in bars:
        column[gap] = NAN
    result = function(*bars)[:, 0]
    unknown = np.isnan(result)
    assert unknown[gap], "nothing is known of a missing bar"
    np.testing.assert_array_equal(result[:gap], whole[:gap])
    assert not unknown[gap + needs :].any()
    if needs > 2 and function is not INDICATORS["change_percentage"][0]:
        assert unknown[gap : gap + needs - 1].all(), "a window with a gap is unknown, not guessed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sma", 100),
        ("change_percentage", 0),
        ("volatility", 0),
        ("relative_volume", 1),
        ("rsi", 50),
        ("true_range", 0),
        ("atr", 0),
        ("highest", 100),
        ("daily_returns", 0),
    ],
)
def test_a_price_that_never_moves(name, expected):
    flat = np.full((DAYS, 1), 100.0)
    assert INDICATORS[name][0](flat, flat, flat, flat)[-1, 0] == expected


def test_without_any_volume_there_is_no_usual_volume():
    nothing = np.zeros((DAYS, 1))
    assert np.isnan(indicators.relative_volume(nothing)).all()
    assert indicators.relative_volume(np.vstack([np.ones((20, 1)), [[0.0]]]))[-1, 0] == 0


class TestCorrelation:
    def test_a_column_with_a_gap_is_unknown_with_everybody_and_disturbs_nobody_else(self):
        returns = np.random.default_rng(3).normal(0, 0.01, (60, 3))
        whole = indicators.correlations(indicators.standardised(returns), np.arange(3), np.arange(3))
        returns[30, 1] = NAN
        found = indicators.correlations(indicators.standardised(returns), np.arange(3), np.arange(3))
        assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all()
        np.testing.assert_allclose(found[0, 2], whole[0, 2], rtol=1e-12)

    @pytest.mark.parametrize("step", [1.0, 1.01, 0.97], ids=["flat", "up evenly", "down evenly"])
    def test_a_price_without_variance_has_no_correlation(self, step):
        close = np.column_stack([[100 * step**day for day in range(61)], walk(61)[2][:, 0]])
        unit = indicators.standardised(indicators.daily_returns(close)[1:])
        assert np.isnan(unit[:, 0]).all() and np.isfinite(unit[:, 1]).all()

    def test_it_is_exactly_within_its_bounds(self):
        returns = np.random.default_rng(5).normal(0, 0.02, (60, 50))
        mirrored = np.hstack([returns, -3 * returns])
        found = indicators.correlations(indicators.standardised(mirrored), np.arange(100), np.arange(100))
        assert (found.min(), found.max()) == (pytest.approx(-1, abs=1e-12), pytest.approx(1, abs=1e-12))
        assert np.abs(found).max() <= 1

    def test_it_does_not_depend_on_the_scale_of_the_price(self):
        close = np.hstack([walk(61)[2], walk(61)[2] * 1e-6])
        unit = indicators.standardised(indicators.daily_returns(close)[1:])
        assert indicators.correlations(unit, np.array([0]), np.array([1]))[0, 0] == pytest.approx(1)


def splitting(closes, *, split_on, factor):
    """RawBars of a share that splits `factor`:1: from `split_on` on it trades at a part of the price."""
    for day, close in enumerate(closes):
        before = day < split_on
        traded = close if before else close / factor
        volume = Decimal(1_000 + 13 * (day % 7)) * (1 if before else factor)
        yield RawBar(
            "ACME", date(2005, 1, 3) + timedelta(days=day), open=traded, high=traded * Decimal("1.02"),
            low=traded * Decimal("0.98"), close=traded, volume=volume, adjusted_close=close / factor,
        )  # fmt: skip


def test_a_split_changes_no_indicator_but_for_the_scale():
    closes = [Decimal(repr(round(float(price), 4))) for price in walk(WINDOW)[2][:, 0]]
    whole, split = (
        np.array(
            [
                [float(part) for part in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
                for bar in map(adjust, splitting(closes, split_on=on, factor=factor))
            ]
        )
        for on, factor in ((0, 1), (WINDOW - 10, 4))
    )
    before, after = (bar_features(table.T[:, :, None])[:, 0] for table in (whole, split))
    scale = {"price": 4, "atr": 4, "sma_20": 4, "sma_50": 4, "sma_200": 4, "volume": 1 / 4}
    for name, old, new in zip(FIELD_NAMES, before, after, strict=True):
        assert new * scale.get(name, 1) == pytest.approx(old, rel=1e-6, nan_ok=True), name
    assert np.isnan(before).sum() == 1, "only the spread is unknown: a bar has no quote"
    left = indicators.standardised(
        indicators.daily_returns(np.column_stack([whole[-61:, 3], split[-61:, 3]]))[1:]
    )
    assert indicators.correlations(left, np.array([0]), np.array([1]))[0, 0] == pytest.approx(1)
