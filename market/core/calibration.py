"""Does what a source says come true? Its outcomes as a score, a table of reliability and hit rates. Pure.

A source's confidence is read as the probability that the price goes the way it says until the advice expires. So
BUY and STRONG_BUY *hit* when the holder's return is above 0, SELL and STRONG_SELL when it is below; a tie is a miss.
HOLD says nothing of a direction: it is counted, not scored.

    Brier score     mean of (confidence - hit)², 0 is perfect, 0.25 is what a coin gets      Brier 1950
    skill           1 - Brier / uncertainty: above 0 it beats the one who always states the base rate
    decomposition   Brier = reliability - resolution + uncertainty                            Murphy 1973
    interval        of a hit rate, 95 %                                                       Wilson 1927

The decomposition is made of bins of a tenth; it adds up but for how much the confidences within a bin differ.

Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78(1). Murphy, A new
vector partition of the probability score, Journal of Applied Meteorology 12(4). Wilson, Probable inference, the law
of succession, and statistical inference, JASA 22(158).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from market.core.recommendation import CLASS_NAMES

BINS = 10
Z_95 = 1.959963984540054
"""the 97.5th percentile of the normal distribution"""
_DIRECTIONS = {"STRONG_SELL": -1, "SELL": -1, "HOLD": 0, "BUY": 1, "STRONG_BUY": 1}


@dataclass(frozen=True, slots=True)
class ShareEvent:
    """What a company did to one share: units afterwards for each unit before, and cash for each unit before."""

    units: Decimal = Decimal(1)
    cash: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes of one class whose confidence lies in one bin. `hits` and `sum_squared_error` are 0 for HOLD."""

    recommendation: str
    bin: int
    count: int
    hits: int
    sum_confidence: float
    sum_squared_error: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of hits with its 95 % interval; None where there is nothing to tell it from."""

    count: int
    hits: int
    mean_confidence: float | None
    hit_rate: float | None
    hit_rate_low: float | None
    hit_rate_high: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """One row of the table of reliability: does advice of this confidence come true that often?"""

    confidence_from: float
    confidence_to: float
    rate: Rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """None: nothing was scored, or (skill) everything came out alike."""

    overall: Rate
    held: int
    """pieces of advice that said HOLD"""
    brier: float | None
    skill: float | None
    reliability: float | None
    resolution: float | None
    uncertainty: float | None
    calibration_error: float | None
    """mean distance of confidence and hit rate over the bins, each weighted by its count"""
    table: tuple[Reliability, ...]
    """bins that have outcomes, from the least sure to the surest"""
    classes: dict[str, Rate]


def bin_of(confidence: float) -> int:
    """0 … 9; 1.0 belongs to the last."""
    place = min(int(confidence * BINS), BINS - 1)
    return place - 1 if place / BINS > confidence else place  # the product may have been rounded up


def total_return_percentage(reference: Decimal, price: Decimal, events: Sequence[ShareEvent] = ()) -> float:
    """What one unit bought at `reference` brought until it is worth `price`; `events` in the order they happened."""
    units, cash = Decimal(1), Decimal(0)
    for event in events:
        cash += units * event.cash
        units *= event.units
    return float(((units * price + cash) / reference - 1) * 100)


def came_true(recommendation: str, return_percentage: float) -> bool | None:
    """None: it spoke of no direction."""
    direction = _DIRECTIONS[recommendation]
    return direction * return_percentage > 0 if direction else None


def squared_error(confidence: float, hit: bool | None) -> float:
    """One term of the Brier score; 0 for what is not scored."""
    return 0.0 if hit is None else (confidence - hit) ** 2


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a rate. `count` must be above 0."""
    rate, weight = hits / count, Z_95**2 / count
    middle = (rate + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(rate * (1 - rate) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def assess(tallies: Iterable[Tally]) -> Calibration:
    """All that is told of a source, from its outcomes."""
    rows = list(tallies)
    scored = [row for row in rows if _DIRECTIONS[row.recommendation]]
    overall = _rate(scored)
    bins = [[row for row in scored if row.bin == place] for place in range(BINS)]
    table = tuple(
        Reliability(place / BINS, (place + 1) / BINS, _rate(inside))
        for place, inside in enumerate(bins)
        if inside
    )
    classes = {name: _rate([row for row in rows if row.recommendation == name]) for name in CLASS_NAMES}
    held = classes["HOLD"]
    classes["HOLD"] = Rate(held.count, 0, held.mean_confidence, None, None, None)
    if overall.hit_rate is None:
        return Calibration(overall, held.count, None, None, None, None, None, None, table, classes)
    base, count = overall.hit_rate, overall.count
    gaps = [(row.rate.count, _known(row.rate.mean_confidence) - _known(row.rate.hit_rate)) for row in table]
    brier = sum(row.sum_squared_error for row in scored) / count
    uncertainty = base * (1 - base)
    return Calibration(
        overall=overall,
        held=held.count,
        brier=brier,
        skill=1 - brier / uncertainty if uncertainty > 0 else None,
        reliability=sum(size * gap**2 for size, gap in gaps) / count,
        resolution=sum(row.rate.count * (_known(row.rate.hit_rate) - base) ** 2 for row in table) / count,
        uncertainty=uncertainty,
        calibration_error=sum(size * abs(gap) for size, gap in gaps) / count,
        table=table,
        classes=classes,
    )


def _known(number: float | None) -> float:
    assert number is not None, "a bin of the table has outcomes"
    return number


def _rate(rows: Sequence[Tally]) -> Rate:
    count, hits = sum(row.count for row in rows), sum(row.hits for row in rows)
    if not count:
        return Rate(0, 0, None, None, None, None)
    return Rate(
        count, hits, sum(row.sum_confidence for row in rows) / count, hits / count, *wilson(hits, count)
    )
