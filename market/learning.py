"""How the built-in model is learned, and how much it is worth: with scikit-learn, which only the trainer loads.

Pooled over symbols, each day's features and whether the price was higher HORIZON sessions later. *Walk-forward*: the
days (not the rows: symbols of one day belong together) are cut into FOLDS later parts; each is predicted by a
regression on the days before it, with a gap of HORIZON days, for their outcomes were not known yet. The scores of these
unseen days calibrate the model (Platt). The model itself is then fitted on all days.

What it is *worth* is told by the parts from the second on, each calibrated by the unseen scores of the parts before it
alone (again with the gap): the Brier score of what the model would have said then, against that of stating the base
rate of the days before. So nothing that is judged has seen what it is judged by.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from market.core.indicators import Floats
from market.core.model import FEATURES, HORIZON, Parameters, features, forward_returns

FOLDS = 5
OBSERVATIONS_MIN = 2_000
"""labelled days of all symbols together, below which nothing is learned"""
DAYS_MIN = 300
PENALTY_INVERSE = 0.01
"""C of the L2 penalty: strong, for daily returns are next to unpredictable, and what is learned is mostly chance"""


@dataclass(frozen=True)
class Learned:
    parameters: Parameters
    metrics: dict[str, Any]

    @property
    def is_worth_it(self) -> bool:
        """Better on days that it had not seen than whoever always states the base rate."""
        return bool(self.metrics["skill"] > 0)


def learn(*, bars: Floats, at: Floats) -> Learned | None:
    """From bars float64[5, T, S] and the epoch seconds of their closes float64[T, S], aligned at the newest, NaN above.

    The caller hands in only what was known at its moment; labels are of these bars alone. None: there are too few days,
    or they all went one way.
    """
    table, forward = features(bars), forward_returns(bars[3])
    known = np.isfinite(forward) & np.isfinite(table).all(axis=0)
    rows, moved, day = table[:, known].T, forward[known], np.floor(at[known] / 86_400)
    days = np.unique(day)
    if len(rows) < OBSERVATIONS_MIN or len(days) < DAYS_MIN:
        return None
    rose = moved > 0
    if rose.all() or not rose.any():
        return None
    unseen = _walk_forward(rows, rose, day, days)
    if unseen is None:
        return None
    platt = _calibration(unseen, np.ones(len(unseen.rose), dtype=np.bool_))
    probability = _honest(unseen, days)
    if platt is None or probability is None:
        return None
    fitted = _regression().fit(rows, rose)
    scaler, regression = fitted[0], fitted[1]
    parameters = Parameters(
        features=FEATURES,
        means=tuple(scaler.mean_.tolist()),
        deviations=tuple(scaler.scale_.tolist()),
        coefficients=tuple(regression.coef_[0].tolist()),
        intercept=float(regression.intercept_[0]),
        slope=float(platt.coef_[0, 0]),
        offset=float(platt.intercept_[0]),
        gain=float(moved[rose].mean()),
        loss=float(moved[~rose].mean()),
    )
    return Learned(parameters, _metrics(unseen, probability, observations=len(rows), days=len(days)))


@dataclass(frozen=True)
class _Unseen:
    """Of each row that some fold predicted: its score, the base rate of the days before, what became of it."""

    score: Floats
    base: Floats
    rose: NDArray[np.bool_]
    fold: NDArray[np.int64]
    day: Floats


def _regression() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY_INVERSE))


def _walk_forward(rows: Floats, rose: NDArray[np.bool_], day: Floats, days: Floats) -> _Unseen | None:
    parts = []
    for number, (before, after) in enumerate(TimeSeriesSplit(n_splits=FOLDS, gap=HORIZON).split(days)):
        seen, asked = np.isin(day, days[before]), np.isin(day, days[after])
        if rose[seen].all() or not rose[seen].any():
            return None
        score = _regression().fit(rows[seen], rose[seen]).decision_function(rows[asked])
        count = int(asked.sum())
        base, fold = np.full(count, rose[seen].mean()), np.full(count, number)
        parts.append((score, base, rose[asked], fold, day[asked]))
    return _Unseen(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _calibration(unseen: _Unseen, where: NDArray[np.bool_]) -> LogisticRegression | None:
    """Platt's: two numbers, without a penalty. None where everything went one way."""
    score, rose = unseen.score[where], unseen.rose[where]
    if rose.all() or not rose.any():
        return None
    return LogisticRegression(C=np.inf).fit(score[:, None], rose)


def _honest(unseen: _Unseen, days: Floats) -> Floats | None:
    """What would have been said in each part, calibrated by those before it; NaN in the first."""
    probability = np.full(len(unseen.rose), np.nan)
    for number in range(1, FOLDS):
        asked = unseen.fold == number
        first = np.searchsorted(days, unseen.day[asked].min())
        platt = _calibration(unseen, (unseen.fold < number) & (unseen.day < days[first - HORIZON]))
        if platt is None:
            return None
        probability[asked] = platt.predict_proba(unseen.score[asked][:, None])[:, 1]
    return probability


def _metrics(unseen: _Unseen, probability: Floats, *, observations: int, days: int) -> dict[str, Any]:
    judged = np.isfinite(probability)

    def brier(said: Floats, where: NDArray[np.bool_]) -> float:
        return float(np.mean((said[where] - unseen.rose[where]) ** 2))

    def log_loss(said: Floats) -> float:
        right = np.where(unseen.rose, said, 1.0 - said)[judged]
        return float(-np.mean(np.log(np.clip(right, 1e-15, 1.0))))

    return {
        "observations": observations,
        "days": days,
        "judged": int(judged.sum()),
        "base_rate": float(unseen.rose[judged].mean()),
        "brier": brier(probability, judged),
        "brier_of_base_rate": brier(unseen.base, judged),
        "skill": 1.0 - brier(probability, judged) / brier(unseen.base, judged),
        "log_loss": log_loss(probability),
        "log_loss_of_base_rate": log_loss(unseen.base),
        "parts": [
            {
                "judged": int((unseen.fold == number).sum()),
                "brier": brier(probability, unseen.fold == number),
                "brier_of_base_rate": brier(unseen.base, unseen.fold == number),
            }
            for number in range(1, FOLDS)
        ],
    }
