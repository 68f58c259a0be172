"""Technical indicators, vectorised over symbols.

Every function takes float64[T, S] (time down, symbols across; NaN is unknown) and returns, unless it says
otherwise, float64[T, S] whose row t uses rows ≤ t only. Too little history and gaps give NaN, never a guess: a
window that contains a NaN is unknown, and Wilder's smoothing starts anew after one.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

TRADING_DAYS_A_YEAR = 252
CORRELATION_WINDOW = 60
"""daily returns"""
DEVIATION_MIN = 1e-10
"""a deviation of daily returns below which they count as equal"""


def _unknown_like(values: Floats) -> Floats:
    return np.full(values.shape, np.nan)


def _windows(values: Floats, window: int) -> Floats:
    """float64[T - window + 1, S, window], a view."""
    return sliding_window_view(values, window, axis=0)


def sma(values: Floats, window: int) -> Floats:
    """Simple moving average: the mean of the last `window` values."""
    result = _unknown_like(values)
    if len(values) >= window:
        result[window - 1 :] = _windows(values, window).mean(axis=-1)
    return result


def change_percentage(close: Floats, periods: int) -> Floats:
    """Percent: 100 × (close[t] / close[t − periods] − 1)."""
    result = _unknown_like(close)
    if len(close) > periods:
        result[periods:] = (close[periods:] / close[:-periods] - 1.0) * 100.0
    return result


def volatility(close: Floats, window: int = 20) -> Floats:
    """Annualised historical volatility as a fraction: sample deviation (n − 1) of `window` daily log returns
    × √252.

    Close-to-close estimator; Hull, *Options, Futures, and Other Derivatives*, "Estimating volatility from
    historical data".
    """
    result = _unknown_like(close)
    if len(close) > window:
        returns = np.diff(np.log(close), axis=0)
        result[window:] = _windows(returns, window).std(axis=-1, ddof=1) * math.sqrt(TRADING_DAYS_A_YEAR)
    return result


def relative_volume(volume: Floats, window: int = 20) -> Floats:
    """volume[t] over the mean of the `window` bars *before* it; unknown where those traded nothing at all."""
    result = _unknown_like(volume)
    if len(volume) > window:
        usual = _windows(volume, window).mean(axis=-1)[:-1]
        np.divide(volume[window:], usual, out=result[window:], where=usual > 0)
    return result


def wilder(values: Floats, period: int) -> Floats:
    """Wilder's smoothing: first the mean of `period` values, then (previous × (period − 1) + value) / period.

    Wilder, *New Concepts in Technical Trading Systems* (1978). A NaN makes the average unknown until `period`
    further values have been seen.
    """
    result = _unknown_like(values)
    average = np.zeros(values.shape[1])
    count = np.zeros(values.shape[1], dtype=np.int64)
    for t in range(len(values)):
        row = values[t]
        known = np.isfinite(row)
        count = np.where(known, count + 1, 0)
        seeding = count <= period
        # While seeding, `average` is the mean of the values seen so far; a gap (count 0) clears it.
        weight = np.where(seeding, np.maximum(count, 1), period)
        average = np.where(known, average + (np.where(known, row, 0.0) - average) / weight, 0.0)
        result[t] = np.where(count >= period, average, np.nan)
    return result


def rsi(close: Floats, period: int = 14) -> Floats:
    """Wilder's relative strength index, 0..100: 100 × gains / (gains + losses), both smoothed.

    The same as 100 − 100 / (1 + gains / losses), without its division by zero: only gains give 100, only
    losses 0, and a price that did not move at all gives 50.
    """
    if len(close) < 2:
        return _unknown_like(close)
    change = np.vstack([np.full((1, close.shape[1]), np.nan), np.diff(close, axis=0)])
    both = wilder(np.hstack([np.maximum(change, 0.0), np.maximum(-change, 0.0)]), period)
    gains, losses = np.split(both, 2, axis=1)
    moved = gains + losses
    result = np.where(np.isnan(moved), np.nan, 50.0)
    np.divide(100.0 * gains, moved, out=result, where=moved > 0)
    return result


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """The largest of high − low, |high − previous close|, |low − previous close|; the first bar has none."""
    result = _unknown_like(close)
    previous = close[:-1]
    result[1:] = np.maximum(
        high[1:] - low[1:], np.maximum(np.abs(high[1:] - previous), np.abs(low[1:] - previous))
    )
    return result


def atr(high: Floats, low: Floats, close: Floats, period: int = 14) -> Floats:
    """Wilder's average true range, in currency."""
    return wilder(true_range(high, low, close), period)


def highest(high: Floats, window: int = TRADING_DAYS_A_YEAR) -> Floats:
    """The highest high of the last `window` bars (52 weeks)."""
    result = _unknown_like(high)
    if len(high) >= window:
        result[window - 1 :] = _windows(high, window).max(axis=-1)
    return result


def distance_percentage(price: Floats, high: Floats) -> Floats:
    """Percent below the high, ≤ 0; a price above it is itself the high, so 0. Any matching shapes."""
    return (price / np.maximum(price, high) - 1.0) * 100.0


def daily_returns(close: Floats) -> Floats:
    """close[t] / close[t − 1] − 1 as a fraction; the first bar has none."""
    result = _unknown_like(close)
    result[1:] = close[1:] / close[:-1] - 1.0
    return result


def standardised(returns: Floats) -> Floats:
    """Columns of mean 0 and length 1, so that the product of two of them is their correlation.

    `returns` is one window, float64[W, S] with W ≥ 2. A column with a gap, or without any variance, is
    unknown as a whole.
    """
    assert len(returns) >= 2
    centred = returns - returns.mean(axis=0)
    length = np.sqrt((centred * centred).sum(axis=0))
    # Returns that are equal but for their rounding have no variance: what is left of them is noise.
    moved = length > DEVIATION_MIN * math.sqrt(len(returns))
    return np.divide(centred, length, out=_unknown_like(returns), where=moved)


def correlations(unit: Floats, left: Places | slice, right: Places | slice) -> Floats:
    """Pearson's correlations of columns: `standardised` returns float64[W, S] → float64[L, R], −1..1.

    Pearson, "Note on Regression and Inheritance in the Case of Two Parents", *Proc. R. Soc. London* 58 (1895).
    """
    # Rounding may lift a perfect correlation beyond 1 by a part in 10^16.
    return np.clip(unit[:, left].T @ unit[:, right], -1.0, 1.0)
