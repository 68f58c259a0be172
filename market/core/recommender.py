"""The baseline recommender: how often did the price rise after days like today?

A day's *state* is a cell of a 3 × 3 table: momentum (20-day log return over its own volatility: down, flat,
up) by RSI (under 40, between, over 60). For each past day whose next five sessions are already known, we note
its state and whether the price was higher five sessions later. The probability of a rise from today's state
is a Beta posterior mean, shrunk in two steps so that few observations say little:

    base     P(rise) over all days of all symbols           Beta(1, 1) prior
    pooled   P(rise | state) over all symbols               shrunk to base by PRIOR_STRENGTH
    pseudo-observations own      P(rise | state) of the symbol                  shrunk to pooled likewise

Five-day windows overlap, so five neighbouring days count as one observation. The expected return is shrunk
alike.

*Confidence* is the estimated probability of the likelier direction, max(p, 1 − p); it is never stretched.
Daily prices being close to unpredictable it mostly lies between 0.5 and 0.65, and it is seldom above 0.8. The
class follows from p alone: STRONG_BUY from 0.65, BUY from 0.55, STRONG_SELL to 0.35, SELL to 0.45, else HOLD.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.core import indicators
from market.core.indicators import Floats
from market.core.recommendation import RecommendationClass

MODEL_VERSION = "baseline-frequency-1"
HORIZON = 5
"""sessions"""
MOMENTUM_WINDOW = 20
MOMENTUM_EDGES = (-0.5, 0.5)
RSI_EDGES = (40.0, 60.0)
CELLS = 9
PRIOR_STRENGTH = 20.0
OBSERVATIONS_MIN = 250
"""labelled days of all symbols together, below which nothing is recommended"""
HISTORY_BARS_MAX = 2_520
"""ten years"""


@dataclass(frozen=True, slots=True)
class Advice:
    column: int
    recommendation: RecommendationClass
    confidence: float
    probability_up: float
    expected_return_percentage: float


def classify(probability_up: float) -> RecommendationClass:
    """The class of a probability of rising."""
    if probability_up >= 0.65:
        return RecommendationClass.STRONG_BUY
    if probability_up >= 0.55:
        return RecommendationClass.BUY
    if probability_up <= 0.35:
        return RecommendationClass.STRONG_SELL
    if probability_up <= 0.45:
        return RecommendationClass.SELL
    return RecommendationClass.HOLD


def states(close: Floats) -> NDArray[np.int64]:
    """int64[T, S]: each day's cell 0..8, −1 where it is unknown. Row t uses rows ≤ t only."""
    daily_deviation = indicators.volatility(close, MOMENTUM_WINDOW) / np.sqrt(indicators.TRADING_DAYS_A_YEAR)
    moved = np.log1p(indicators.change_percentage(close, MOMENTUM_WINDOW) / 100.0)
    scale = daily_deviation * np.sqrt(MOMENTUM_WINDOW)
    momentum = np.full(close.shape, np.nan)
    np.divide(moved, scale, out=momentum, where=scale > 0)
    strength = indicators.rsi(close)
    known = np.isfinite(momentum) & np.isfinite(strength)
    cell = np.digitize(momentum, MOMENTUM_EDGES) * 3 + np.digitize(strength, RSI_EDGES)
    return np.where(known, cell, -1)


def _sums(cells: NDArray[np.int64], weights: Floats) -> Floats:
    """float64[CELLS, S]: the weights of each column's days, added up by cell."""
    return np.stack([(weights * (cells == cell)).sum(axis=0) for cell in range(CELLS)])


def _shrink(total: Floats, count: Floats, towards: Floats | float) -> Floats:
    return (total + PRIOR_STRENGTH * towards) / (count + PRIOR_STRENGTH)


def recommend(*, close: Floats, at: Floats, as_of: float) -> list[Advice]:
    """Advice for every column whose state at `as_of` is known.

    `close` and `at` are float64[T, S]: closes and the epoch seconds at which their bars completed, each
    column aligned at its newest bar, NaN above. Bars after `as_of` are blanked first: nothing later can be
    looked at.
    """
    visible = at <= as_of
    close = np.where(visible, close, np.nan)
    cells = states(close)
    forward = np.full(close.shape, np.nan)
    if len(close) > HORIZON:
        forward[:-HORIZON] = (close[HORIZON:] / close[:-HORIZON] - 1.0) * 100.0
    labelled = np.isfinite(forward) & (cells >= 0)
    if int(labelled.sum()) < OBSERVATIONS_MIN:
        return []
    weight = labelled / HORIZON
    count = _sums(cells, weight)
    rises = _sums(cells, weight * (forward > 0))
    gains = _sums(cells, weight * np.where(labelled, forward, 0.0))

    base = (rises.sum() + 1.0) / (count.sum() + 2.0)
    base_gain = gains.sum() / count.sum()
    pooled = _shrink(rises.sum(axis=1), count.sum(axis=1), base)
    pooled_gain = _shrink(gains.sum(axis=1), count.sum(axis=1), base_gain)
    own = _shrink(rises, count, pooled[:, None])
    own_gain = _shrink(gains, count, pooled_gain[:, None])

    advice = []
    for column in range(close.shape[1]):
        seen = np.flatnonzero(visible[:, column])
        if not len(seen) or cells[seen[-1], column] < 0:
            continue
        cell = cells[seen[-1], column]
        probability = float(own[cell, column])
        advice.append(
            Advice(
                column=column,
                recommendation=classify(probability),
                confidence=max(probability, 1.0 - probability),
                probability_up=probability,
                expected_return_percentage=float(own_gain[cell, column]),
            )
        )
    return advice
