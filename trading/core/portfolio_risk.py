"""The risk of a portfolio as it stands: concentration, correlation, volatility, value at risk, drawdown. Pure.

Weights are fractions of equity, float64, working buys included; what is not invested is cash, which does not move.
Returns are fractions a day, float64[W, S] (days down, holdings across), on days that are the same for all holdings;
NaN is unknown. What cannot be known is None, never 0: a report must not calm anybody by what it does not know.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from foundation.core.money import ZERO, round_money
from market.core.indicators import DEVIATION_MIN, TRADING_DAYS_A_YEAR, Floats, correlations, standardised
from portfolios.core.facts import Marks

DAYS_MIN = 60
"""complete days of returns below which nothing is told from them: the window of the rules' correlations"""
CONFIDENCES = (95, 99)
"""percent"""
TOP = 5
_EXACT_DIGITS = 120
"""enough that no sum of squares of NUMERIC(20,8) is rounded, nor a quotient to the other side of a limit"""


def effective_holdings(values: Sequence[Decimal]) -> Decimal:
    """1 / Σ w² of weights w = value / Σ values: how many equal holdings would be as concentrated as these.

    The inverse of the Herfindahl index (Hirschman, *National Power and the Structure of Foreign Trade*, 1945;
    Herfindahl 1950) as a number of equivalents (Adelman, "Comment on the 'H' Concentration Measure as a
    Numbers-Equivalent", *Rev. Econ. Stat.* 51, 1969). Exact: (Σ v)² / Σ v² without rounding before the quotient, so
    that it compares rightly with a limit. NaN as soon as a value is; 0 where nothing is held. Values are in currency
    and not negative.
    """
    if any(value.is_nan() for value in values):
        return Decimal("NaN")
    assert all(value >= 0 for value in values), "nothing is held short"
    with localcontext(prec=_EXACT_DIGITS):
        squares = sum((value * value for value in values), ZERO)
        return sum(values, ZERO) ** 2 / squares if squares else ZERO


@dataclass(frozen=True)
class Concentration:
    """`largest_weight` and `top_weight` (the TOP largest) are fractions of equity; `herfindahl` is Σ w² of the
    weights within the invested part, 1 / holdings .. 1, and `effective_holdings` its inverse: both None while
    nothing is invested."""

    largest_symbol: str | None
    largest_weight: float
    top_weight: float
    herfindahl: float | None
    effective_holdings: float | None


def concentration(weights: Mapping[str, float]) -> Concentration:
    """Of known weights ≥ 0 by symbol. Of equal ones the first in the alphabet counts as the largest."""
    ordered = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    invested = math.fsum(weights.values())
    index = math.fsum((weight / invested) ** 2 for _, weight in ordered) if invested > 0 else None
    return Concentration(
        largest_symbol=ordered[0][0] if ordered else None,
        largest_weight=ordered[0][1] if ordered else 0.0,
        top_weight=math.fsum(weight for _, weight in ordered[:TOP]),
        herfindahl=index,
        effective_holdings=1.0 / index if index else None,
    )


@dataclass(frozen=True)
class Pair:
    first: str
    second: str
    correlation: float


@dataclass(frozen=True)
class Correlation:
    """All None with fewer than two holdings, or while one of them has no variance or too few returns."""

    average: float | None = None
    weighted_average: float | None = None
    highest: Pair | None = None


def highest_pairs(matrix: Floats, symbols: Sequence[str]) -> list[Pair]:
    """For each of at least two symbols the other one that goes with it most; NaN where any of its correlations is.

    `matrix` is float64[S, S].
    """
    others = np.where(np.eye(len(symbols), dtype=np.bool_), -np.inf, matrix)
    return [
        Pair(symbol, symbols[int(np.argmax(row))], float(row.max()))
        for symbol, row in zip(symbols, others, strict=True)
    ]


def correlation(returns: Floats, weights: Floats, symbols: Sequence[str]) -> Correlation:
    """Pearson's, of complete returns float64[W, S] with weights float64[S] ≥ 0.

    average: the mean of ρ_ij over the pairs i < j; weighted_average: Σ w_i w_j ρ_ij / Σ w_i w_j over the same
    pairs (Tierens and Anadu, "Does It Matter Which Methodology You Use to Measure Average Correlation across
    Stocks?", Goldman Sachs 2004).
    """
    if len(symbols) < 2:
        return Correlation()
    unit = standardised(returns)
    matrix = correlations(unit, slice(None), slice(None))
    if not np.isfinite(matrix).all():
        return Correlation()
    left, right = np.triu_indices(len(symbols), 1)
    pairs, products = matrix[left, right], weights[left] * weights[right]
    total = products.sum()
    return Correlation(
        average=float(pairs.mean()),
        weighted_average=float((pairs * products).sum() / total) if total > 0 else None,
        highest=max(highest_pairs(matrix, symbols), key=lambda pair: pair.correlation),
    )


def annual_volatility(returns: Floats, weights: Floats) -> float:
    """√252 × sample deviation (n − 1) of the daily returns w·r that the present weights would have had.

    A fraction of equity a year. Hull, *Options, Futures, and Other Derivatives*, "Estimating volatility from
    historical data".
    """
    return float((returns @ weights).std(ddof=1)) * math.sqrt(TRADING_DAYS_A_YEAR)


def risk_shares(returns: Floats, weights: Floats) -> Floats | None:
    """float64[S], Σ = 1: each holding's part in the variance, w_i · cov(r_i, r_p) / var(r_p); a hedge's is negative.

    None where the portfolio has no variance. Component risk: Litterman, "Hot Spots and Hedges", *J. Portfolio
    Management* 1996; Jorion, *Value at Risk*, "Component VaR".
    """
    centred = returns - returns.mean(axis=0)
    portfolio = centred @ weights
    variance = float(portfolio @ portfolio)
    if variance <= DEVIATION_MIN**2 * len(returns):  # what is left then is rounding
        return None
    return weights * (centred.T @ portfolio) / variance


@dataclass(frozen=True)
class ValueAtRisk:
    """A loss in a day that is not expected to be passed with this confidence (percent), and the mean loss of the
    days that are as bad or worse. Percent of equity, amounts in currency; negative: even that day was a gain.
    None with fewer than `days_min` days of returns."""

    confidence: int
    days_min: int
    percentage: float | None = None
    amount: Decimal | None = None
    shortfall_percentage: float | None = None
    shortfall_amount: Decimal | None = None


def days_min(confidence: int) -> int:
    """So many days that the tail has one of them at least, and never fewer than DAYS_MIN."""
    return max(DAYS_MIN, math.ceil(100 / (100 - confidence)))


def value_at_risk(daily: Floats, *, confidence: int, equity: Decimal) -> ValueAtRisk:
    """By historical simulation from float64[W], the returns that the present weights would have had on past days.

    With n days it is the k-th worst loss, k = ⌊n · (1 − confidence)⌋: of 500 days at 99 % the fifth worst, nothing
    interpolated, and the shortfall is the mean of the k worst. Hull, *Risk Management and Financial Institutions*,
    "Historical simulation and extreme value theory"; Acerbi and Tasche, "On the coherence of expected shortfall"
    (2002).
    """
    least = days_min(confidence)
    if len(daily) < least:
        return ValueAtRisk(confidence=confidence, days_min=least)
    count = len(daily) * (100 - confidence) // 100
    tail = np.sort(-daily)[::-1][:count]
    loss, shortfall = float(tail[-1]), float(tail.mean())
    return ValueAtRisk(
        confidence=confidence,
        days_min=least,
        percentage=loss * 100.0,
        amount=_amount(loss, equity),
        shortfall_percentage=shortfall * 100.0,
        shortfall_amount=_amount(shortfall, equity),
    )


def _amount(fraction: float, equity: Decimal) -> Decimal:
    return round_money(Decimal(repr(fraction)) * equity)


@dataclass(frozen=True)
class ReturnsRisk:
    """What past returns tell of the present weights.

    `days`: on how many all holdings have a return, which are those that count. `missing`: the holdings because of
    which there are too few; then everything is None.
    """

    days: int
    missing: tuple[str, ...]
    correlation: Correlation
    volatility: float | None
    risk_shares: Mapping[str, float] | None
    values_at_risk: tuple[ValueAtRisk, ...]


def unknown_returns_risk(*, days: int = 0, missing: Sequence[str] = ()) -> ReturnsRisk:
    return ReturnsRisk(
        days=days, missing=tuple(missing), correlation=Correlation(), volatility=None, risk_shares=None,
        values_at_risk=tuple(ValueAtRisk(each, days_min(each)) for each in CONFIDENCES),
    )  # fmt: skip


def returns_risk(weights: Mapping[str, float], returns: Mapping[str, Floats], equity: Decimal) -> ReturnsRisk:
    """`returns`: for each symbol of `weights` float64[W] on the same days. Their order does not matter.

    A portfolio of nothing but cash has no risk from prices: that is known without any day.
    """
    symbols = sorted(weights)
    if not symbols:
        return ReturnsRisk(
            days=0, missing=(), correlation=Correlation(), volatility=0.0, risk_shares={},
            values_at_risk=tuple(
                ValueAtRisk(each, days_min(each), 0.0, ZERO, 0.0, ZERO) for each in CONFIDENCES
            ),
        )  # fmt: skip
    table = np.column_stack([returns[symbol] for symbol in symbols])
    known = np.isfinite(table)
    complete = table[known.all(axis=1)]
    if len(complete) < DAYS_MIN:
        return unknown_returns_risk(days=len(complete), missing=_missing(symbols, known))
    vector = np.array([weights[symbol] for symbol in symbols])
    shares = risk_shares(complete, vector)
    return ReturnsRisk(
        days=len(complete),
        missing=(),
        correlation=correlation(complete, vector, symbols),
        volatility=annual_volatility(complete, vector),
        risk_shares=None if shares is None else dict(zip(symbols, shares.tolist(), strict=True)),
        values_at_risk=tuple(
            value_at_risk(complete @ vector, confidence=each, equity=equity) for each in CONFIDENCES
        ),
    )


def _missing(symbols: Sequence[str], known: np.typing.NDArray[np.bool_]) -> list[str]:
    """Those with too few returns of their own; else those with the gaps that leave too few days for all."""
    own = known.sum(axis=0)
    short = [symbol for symbol, count in zip(symbols, own, strict=True) if count < DAYS_MIN]
    return short or [symbol for symbol, count in zip(symbols, own, strict=True) if count < len(known)]


@dataclass(frozen=True)
class Drawdown:
    """Amounts in currency; percentages of the highest equity and of the day's first. None while the equity or the
    mark that it is measured against is unknown."""

    peak_equity: Decimal | None = None
    amount: Decimal | None = None
    percentage: Decimal | None = None
    day_open_equity: Decimal | None = None
    daily_pnl: Decimal | None = None
    daily_pnl_percentage: Decimal | None = None


def drawdown(equity: Decimal | None, marks: Marks | None) -> Drawdown:
    """From the highest equity that was noted (or the present one, if higher), and the profit of the market day.

    Without a mark of this day the day's profit is unknown, although rules, which begin the day, count it as 0.
    """
    if equity is None or marks is None:
        return Drawdown()
    peak, opened = max(marks.peak_equity, equity), marks.day_open_equity
    return Drawdown(
        peak_equity=peak,
        amount=peak - equity,
        percentage=_percent(peak - equity, peak),
        day_open_equity=opened,
        daily_pnl=None if opened is None else equity - opened,
        daily_pnl_percentage=None if opened is None else _percent(equity - opened, opened),
    )


def _percent(part: Decimal, whole: Decimal) -> Decimal | None:
    return part / whole * 100 if whole > 0 else None
