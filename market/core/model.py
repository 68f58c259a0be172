"""The built-in model: a logistic regression on indicators, as data and as arithmetic.

What a day looks like is told by FEATURES, each computed from completed bars up to that day only and made comparable
over symbols (moves are measured in what a symbol usually moves):

    momentum_n       log return of n sessions / (daily deviation · √n)      n = 1, 5, 20, 60
    sma_n            log(close / mean of n closes) / (daily deviation · √n)  n = 20, 50, 200
    rsi              (Wilder's index - 50) / 50
    volatility_ratio log(volatility of 20 sessions / of 60)
    relative_volume  log(volume / mean of the 20 before)
    high_distance    distance from the 52-week high, as a fraction

    score  z = intercept + Σ coefficient · (feature - mean) / deviation
    P(higher in HORIZON sessions) = 1 / (1 + exp(-(slope · z + offset)))

`slope` and `offset` are Platt's: fitted on scores of days that the regression had not seen (Platt 1999, Probabilistic
outputs for support vector machines). How all of them are learned: `market/learning.py`. Nothing here is unpickled: a
model is a few numbers in JSON, so that whoever can write them can at most give bad advice, and prediction needs NumPy
alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from foundation.core.canonical import canonical_json
from market.core import indicators
from market.core.indicators import Floats
from market.core.recommender import HORIZON, Advice, classify

MOMENTA = (1, 5, 20, 60)
AVERAGES = (20, 50, 200)
FEATURES = (
    *(f"momentum_{sessions}" for sessions in MOMENTA),
    *(f"sma_{sessions}" for sessions in AVERAGES),
    "rsi",
    "volatility_ratio",
    "relative_volume",
    "high_distance",
)
BOUND = 6.0
"""features beyond are cut: one wild day must not outweigh the rest"""
HISTORY_NEEDED = 320
"""bars that a prediction looks at: 52 weeks of highs, and Wilder's smoothing that has forgotten its start"""
_HIGH, _CLOSE, _VOLUME = 1, 3, 4


@dataclass(frozen=True)
class Parameters:
    """All that was learned. `gain` and `loss`: mean return in percent of the days that rose, and of those that fell."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    slope: float
    offset: float
    gain: float
    loss: float

    def __post_init__(self) -> None:
        lengths = {len(self.features), len(self.means), len(self.deviations), len(self.coefficients)}
        numbers = (*self.means, *self.deviations, *self.coefficients, self.intercept, self.slope, self.offset)
        if self.features != FEATURES or lengths != {len(FEATURES)}:
            raise ValueError("these are parameters of another model")
        if not np.isfinite([*numbers, self.gain, self.loss]).all() or min(self.deviations) <= 0:
            raise ValueError("these parameters are no numbers to compute with")

    def as_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Parameters":
        """Raises ValueError, TypeError for what `as_json` has not made, or has made for another model."""
        parts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        return cls(**parts)

    def version(self, through: date) -> str:
        """Names this very model: equal numbers have equal names."""
        digest = hashlib.sha256(canonical_json(self.as_json()).encode()).hexdigest()
        return f"baseline-logistic-{through.isoformat()}-{digest[:8]}"


def features(bars: Floats) -> Floats:
    """float64[K, T, S] of bars float64[5, T, S] (open, high, low, close, volume), oldest first; NaN where unknown.

    Row t uses rows ≤ t only.
    """
    high, close, volume = bars[_HIGH], bars[_CLOSE], bars[_VOLUME]
    logarithm = np.log(close)
    usual = indicators.volatility(close, 20) / np.sqrt(indicators.TRADING_DAYS_A_YEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = [_moved(logarithm, sessions) / (usual * np.sqrt(sessions)) for sessions in MOMENTA]
        rows += [
            np.log(close / indicators.sma(close, sessions)) / (usual * np.sqrt(sessions))
            for sessions in AVERAGES
        ]
        rows.append((indicators.rsi(close) - 50.0) / 50.0)
        rows.append(np.log(indicators.volatility(close, 20) / indicators.volatility(close, 60)))
        rows.append(np.log(indicators.relative_volume(volume)))
        rows.append(indicators.distance_percentage(close, indicators.highest(high)) / 100.0)
    table = np.stack(rows)
    return np.where(np.isfinite(table), np.clip(table, -BOUND, BOUND), np.nan)


def _moved(logarithm: Floats, sessions: int) -> Floats:
    moved = np.full(logarithm.shape, np.nan)
    moved[sessions:] = logarithm[sessions:] - logarithm[:-sessions]
    return moved


def forward_returns(close: Floats) -> Floats:
    """float64[T, S] percent: from each close to that HORIZON bars later; NaN where that is not known yet."""
    forward = np.full(close.shape, np.nan)
    if len(close) > HORIZON:
        forward[:-HORIZON] = (close[HORIZON:] / close[:-HORIZON] - 1.0) * 100.0
    return forward


def scores(parameters: Parameters, table: Floats) -> Floats:
    """z of features float64[K, …]; NaN where any is unknown."""
    shape = (len(FEATURES), *[1] * (table.ndim - 1))
    means, deviations, weights = (
        np.array(numbers).reshape(shape)
        for numbers in (parameters.means, parameters.deviations, parameters.coefficients)
    )
    return np.asarray(parameters.intercept + (weights * (table - means) / deviations).sum(axis=0))


def probabilities(parameters: Parameters, table: Floats) -> Floats:
    """P(higher in HORIZON sessions) of features float64[K, …]; NaN where any is unknown."""
    with np.errstate(over="ignore"):
        return np.asarray(
            1.0 / (1.0 + np.exp(-(parameters.slope * scores(parameters, table) + parameters.offset)))
        )


def expected_return(parameters: Parameters, probability: float) -> float:
    """Percent, as far as the size of a move does not depend on how likely it is."""
    return probability * parameters.gain + (1.0 - probability) * parameters.loss


def advise(parameters: Parameters, *, bars: Floats, at: Floats, as_of: float) -> list[Advice]:
    """Advice for every column whose features at its newest bar are known.

    `bars` float64[5, T, S] and `at` float64[T, S] are aligned at each column's newest bar, NaN above. A column whose
    newest bar completed after `as_of` gets none: nothing later can be looked at.
    """
    up = probabilities(parameters, features(bars)[:, -1])
    known = np.isfinite(up) & (at[-1] <= as_of)
    return [
        Advice(
            column=column,
            recommendation=classify(float(up[column])),
            confidence=max(float(up[column]), 1.0 - float(up[column])),
            probability_up=float(up[column]),
            expected_return_percentage=expected_return(parameters, float(up[column])),
        )
        for column in np.flatnonzero(known).tolist()
    ]
