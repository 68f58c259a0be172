"""Indicators against other people's code: TA-Lib and NumPy, on the shipped bars and on random walks."""

import numpy as np
import pytest
import talib

from market import sample_data
from market.core import indicators

SEEDS = (1, 2, 3, 4, 5)
SHIPPED = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@pytest.fixture(scope="module")
def shipped():
    """Adjusted daily bars of each symbol: float64[T, 5] open, high, low, close, volume."""
    rows = {symbol: [] for symbol in SHIPPED}
    for bar in sample_data.adjusted_bars():
        rows[bar.symbol].append(
            [float(part) for part in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        )
    return {symbol: np.array(table) for symbol, table in rows.items()}


def random_walk(seed):
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0.0002, 0.02, 1_500)))
    opened = np.concatenate([[50.0], close[:-1]]) * np.exp(rng.normal(0, 0.005, 1_500))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.008, 1_500)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.008, 1_500)))
    return np.column_stack([opened, high, low, close, rng.integers(0, 10**7, 1_500).astype(float)])


@pytest.fixture(params=[*SHIPPED, *SEEDS], ids=str)
def bars(request, shipped):
    """Columns open, high, low, close, volume, each float64[T]."""
    table = shipped[request.param] if request.param in SHIPPED else random_walk(request.param)
    return [np.ascontiguousarray(column) for column in table.T]


def equal(ours, theirs, *, absolute=0.0):
    """Wherever the oracle knows a value we know the same one; elsewhere we know none either."""
    np.testing.assert_array_equal(np.isfinite(ours[:, 0]), np.isfinite(theirs))
    assert np.isfinite(theirs).sum() > 100
    np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-9, atol=absolute, equal_nan=True)


@pytest.mark.parametrize("window", [20, 50])
def test_simple_moving_average(bars, window):
    close = bars[3]
    equal(indicators.sma(close[:, None], window), talib.SMA(close, timeperiod=window))


def test_the_long_moving_average_of_those_that_have_200_bars(shipped):
    for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
        close = np.ascontiguousarray(shipped[symbol][:, 3])
        equal(indicators.sma(close[:, None], 200), talib.SMA(close, timeperiod=200))
    assert len(shipped["FB"]) < 200 and np.isnan(indicators.sma(shipped["FB"][:, 3:4], 200)).all()


@pytest.mark.parametrize("period", [2, 14])
def test_relative_strength_index(bars, period):
    close = bars[3]
    equal(indicators.rsi(close[:, None], period), talib.RSI(close, timeperiod=period), absolute=1e-9)


def test_true_range(bars):
    _, high, low, close, _ = bars
    ours = indicators.true_range(high[:, None], low[:, None], close[:, None])
    equal(ours, talib.TRANGE(high, low, close))


@pytest.mark.parametrize("period", [2, 14])
def test_average_true_range(bars, period):
    _, high, low, close, _ = bars
    ours = indicators.atr(high[:, None], low[:, None], close[:, None], period)
    equal(ours, talib.ATR(high, low, close, timeperiod=period))


@pytest.mark.parametrize("periods", [1, 5, 20])
def test_change_in_percent(bars, periods):
    close = bars[3]
    equal(
        indicators.change_percentage(close[:, None], periods),
        talib.ROC(close, timeperiod=periods),
        absolute=1e-9,
    )


def test_highest_high(bars):
    high = bars[1]
    equal(indicators.highest(high[:, None], 60), talib.MAX(high, timeperiod=60))


def test_volatility(bars):
    close = bars[3]
    # TA-Lib divides by n, we by n − 1; its first value needs n returns, so n + 1 closes.
    deviation = talib.STDDEV(np.diff(np.log(close)), timeperiod=20) * np.sqrt(20 / 19) * np.sqrt(252)
    equal(indicators.volatility(close[:, None]), np.concatenate([[np.nan], deviation]), absolute=1e-9)


def test_relative_volume(bars):
    volume = bars[4]
    usual = np.concatenate([[np.nan], talib.SMA(volume, timeperiod=20)[:-1]])
    equal(indicators.relative_volume(volume[:, None]), volume / usual)


def returns_of(shipped):
    """float64[60, 5]: the last daily returns of the five symbols, whose last days are the same."""
    closes = np.column_stack([table[-61:, 3] for table in shipped.values()])
    return indicators.daily_returns(closes)[1:]


def test_correlations_of_all_pairs_of_the_shipped_bars(shipped):
    returns = returns_of(shipped)
    everything = np.arange(5)
    ours = indicators.correlations(indicators.standardised(returns), everything, everything)
    np.testing.assert_allclose(ours, np.corrcoef(returns, rowvar=False), rtol=0, atol=1e-12)
    for left in everything:
        for right in everything:
            columns = (np.ascontiguousarray(returns[:, column]) for column in (left, right))
            theirs = talib.CORREL(*columns, timeperiod=indicators.CORRELATION_WINDOW)[-1]
            assert ours[left, right] == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_correlations_of_random_returns(seed):
    returns = np.random.default_rng(seed).normal(0.001, 0.02, (60, 40))
    returns[:, 20:] += 0.7 * returns[:, :20]
    left, right = np.arange(0, 40, 3), np.array([1, 7, 39])
    ours = indicators.correlations(indicators.standardised(returns), left, right)
    theirs = np.corrcoef(returns, rowvar=False)[np.ix_(left, right)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_daily_returns_are_the_changes_in_percent(shipped):
    close = np.ascontiguousarray(shipped["IBM"][:, 3])
    equal(indicators.daily_returns(close[:, None]), talib.ROCP(close, timeperiod=1), absolute=1e-12)
