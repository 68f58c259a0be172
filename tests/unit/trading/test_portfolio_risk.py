"""A portfolio's risk, against NumPy's own statistics, textbook examples and what must always hold."""

import itertools
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.core.indicators import Floats
from portfolios.core.facts import Marks
from trading.core.portfolio_risk import (
    Drawdown,
    Pair,
    annual_volatility,
    concentration,
    correlation,
    days_min,
    drawdown,
    effective_holdings,
    returns_risk,
    risk_shares,
    value_at_risk,
)

D = Decimal
WEIGHTS = np.array([0.4, 0.3, 0.1])
SYMBOLS = ("AAA", "BBB", "CCC")


def days(count: int = 250, seed: int = 5) -> Floats:
    """float64[count, 3]: BBB moves with AAA, CCC against it."""
    found = np.random.default_rng(seed).normal(0.0003, 0.02, (count, 3))
    found[:, 1] += found[:, 0]
    found[:, 2] -= 0.5 * found[:, 0]
    return found


# Effective holdings: exact.


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["100"], "1"),
        (["0.1"] * 3, "3"),
        (["3", "1"], "1.6"),  # 16 / 10
        (["50", "0"], "1"),
        ([], "0"),
        (["0"], "0"),
    ],
)
def test_effective_holdings(values: list[str], expected: str) -> None:
    assert effective_holdings([D(value) for value in values]) == D(expected)


def test_effective_holdings_of_something_unknown_are() -> None:
    assert effective_holdings([D(1), D("NaN")]).is_nan()


amounts = st.decimals(min_value=0, max_value=10**12, places=8, allow_nan=False)


@settings(max_examples=200)
@given(st.lists(amounts, min_size=1, max_size=30).filter(any))
def test_effective_holdings_compare_with_a_limit_as_the_exact_fraction_does(values: list[Decimal]) -> None:
    found = effective_holdings(values)
    exact = Fraction(sum(map(Fraction, values))) ** 2 / sum(Fraction(value) ** 2 for value in values)
    rounded = found.quantize(D("0.00000001"))
    for limit in (rounded, rounded + D("0.00000001"), rounded - D("0.00000001")):
        assert (found < limit) == (exact < Fraction(limit))
    assert 1 <= found <= len(values)


# Concentration.


def test_concentration_is_measured_within_what_is_invested() -> None:
    found = concentration({"AAA": 0.3, "BBB": 0.1})
    assert (found.largest_symbol, found.largest_weight) == ("AAA", 0.3)
    assert found.top_weight == pytest.approx(0.4)
    assert found.herfindahl == pytest.approx(0.75**2 + 0.25**2)
    assert found.effective_holdings == pytest.approx(1.6)


def test_the_five_largest_count() -> None:
    found = concentration({name: weight / 100 for name, weight in zip("ABCDEFG", range(1, 8), strict=True)})
    assert found.top_weight == pytest.approx((7 + 6 + 5 + 4 + 3) / 100)


def test_nothing_invested_is_not_concentrated() -> None:
    found = concentration({})
    assert (found.largest_symbol, found.largest_weight, found.top_weight) == (None, 0.0, 0.0)
    assert found.herfindahl is None and found.effective_holdings is None


# Correlation.


def test_correlations_are_numpys() -> None:
    matrix = np.corrcoef(days(), rowvar=False)
    found = correlation(days(), WEIGHTS, SYMBOLS)
    pairs = list(itertools.combinations(range(3), 2))
    assert found.average == pytest.approx(np.mean([matrix[pair] for pair in pairs]))
    products = [WEIGHTS[i] * WEIGHTS[j] for i, j in pairs]
    assert found.weighted_average == pytest.approx(
        np.average([matrix[pair] for pair in pairs], weights=products)
    )
    assert found.highest is not None
    assert {found.highest.first, found.highest.second} == {"AAA", "BBB"}
    assert found.highest.correlation == pytest.approx(matrix[0, 1])


def test_equal_weights_make_both_averages_equal() -> None:
    found = correlation(days(), np.full(3, 0.2), SYMBOLS)
    assert found.weighted_average == pytest.approx(found.average)


def test_one_holding_goes_with_nothing() -> None:
    found = correlation(days()[:, :1], WEIGHTS[:1], ("AAA",))
    assert (found.average, found.weighted_average, found.highest) == (None, None, None)


def test_a_holding_that_did_not_move_makes_it_unknown() -> None:
    still = days()
    still[:, 2] = 0.001
    assert correlation(still, WEIGHTS, SYMBOLS).highest is None


def test_a_negative_correlation_may_be_the_highest() -> None:
    returns = days()[:, [0]] * np.array([1.0, -1.0])
    assert correlation(returns, WEIGHTS[:2], SYMBOLS[:2]).highest == Pair("AAA", "BBB", pytest.approx(-1.0))


# Volatility and what each holding adds to it.


def test_volatility_is_that_of_the_covariance_matrix() -> None:
    covariance = np.cov(days(), rowvar=False)
    assert annual_volatility(days(), WEIGHTS) == pytest.approx((252 * WEIGHTS @ covariance @ WEIGHTS) ** 0.5)


def test_two_assets_by_hand() -> None:
    """w = 60 %, 40 %; σ = 20 %, 30 % a day; ρ = 0.5: σ² = 0.0144 + 0.0144 + 2 · 0.6 · 0.4 · 0.03 = 0.0432, and each
    has half of it, though one weighs more (Markowitz, "Portfolio Selection", *J. Finance* 1952)."""
    unit = (
        np.linalg.qr(np.column_stack([np.ones(100), days(100)[:, :2]]))[0][:, 1:] * 99**0.5
    )  # deviation 1, ρ = 0
    returns = np.column_stack([0.2 * unit[:, 0], 0.3 * (0.5 * unit[:, 0] + 0.75**0.5 * unit[:, 1])])
    weights = np.array([0.6, 0.4])
    assert annual_volatility(returns, weights) == pytest.approx((252 * 0.0432) ** 0.5)
    np.testing.assert_allclose(risk_shares(returns, weights), [0.5, 0.5])


def test_shares_of_risk_add_up_and_a_hedges_is_negative() -> None:
    shares = risk_shares(days(), WEIGHTS)
    assert shares is not None
    assert shares.sum() == pytest.approx(1) and min(shares[:2]) > 0 > shares[2]
    covariance = np.cov(days(), rowvar=False)
    np.testing.assert_allclose(shares, WEIGHTS * (covariance @ WEIGHTS) / (WEIGHTS @ covariance @ WEIGHTS))


def test_no_variance_cannot_be_shared() -> None:
    assert risk_shares(np.full((100, 3), 0.001), WEIGHTS) is None


# Value at risk.


def test_the_textbooks_five_worst_of_five_hundred_days() -> None:
    """A portfolio of 10,000,000 in four indices (Hull, *Risk Management and Financial Institutions*, "Historical
    simulation and extreme value theory"): VaR 253,385 and expected shortfall 327,181 at 99 %."""
    worst = [477_841, 345_435, 282_204, 277_041, 253_385, 217_974]
    losses = np.array([*worst, *np.linspace(-300_000, 200_000, 494)]) / 10_000_000
    daily = np.random.default_rng(1).permutation(-losses)
    found = value_at_risk(daily, confidence=99, equity=D(10_000_000))
    assert found.amount == pytest.approx(D(253_385))
    assert found.shortfall_amount is not None and round(found.shortfall_amount) == 327_181
    assert found.percentage == pytest.approx(2.53385)


@pytest.mark.parametrize(
    ("count", "worst_95", "worst_99"), [(100, 5, 1), (199, 9, 1), (200, 10, 2), (250, 12, 2)]
)
def test_the_kth_worst_day_is_rounded_to_the_worse_side(count: int, worst_95: int, worst_99: int) -> None:
    daily = -np.arange(1.0, count + 1) / 1000
    for confidence, worst in ((95, worst_95), (99, worst_99)):
        found = value_at_risk(daily, confidence=confidence, equity=D(1000))
        assert found.amount == count + 1 - worst
        at_least = np.percentile(
            -daily, confidence, method="inverted_cdf"
        )  # the other convention, never worse
        assert found.percentage is not None and found.percentage >= 100 * at_least - 1e-9


@pytest.mark.parametrize(("confidence", "least"), [(95, 60), (99, 100)])
def test_too_few_days_are_unknown(confidence: int, least: int) -> None:
    assert days_min(confidence) == least
    daily = days(least)[:, 0]
    known = value_at_risk(daily, confidence=confidence, equity=D(1000))
    unknown = value_at_risk(daily[1:], confidence=confidence, equity=D(1000))
    assert known.amount is not None and known.shortfall_amount is not None
    assert {unknown.percentage, unknown.amount, unknown.shortfall_percentage, unknown.shortfall_amount} == {
        None
    }


# All of it together.


def of(returns: Floats, weights: Floats = WEIGHTS, equity: int = 1000) -> tuple[
    Mapping[str, float], Mapping[str, Floats], Decimal
]:  # fmt: skip
    return (
        dict(zip(SYMBOLS, weights.tolist(), strict=True)),
        dict(zip(SYMBOLS, returns.T, strict=True)),
        D(equity),
    )


def test_days_on_which_one_return_is_unknown_do_not_count() -> None:
    gaps = days(120)
    gaps[10, 0] = gaps[11, 1] = gaps[11, 2] = np.nan
    found = returns_risk(*of(gaps))
    without = returns_risk(*of(np.delete(gaps, [10, 11], axis=0)))
    assert found.days == 118 and found == without


def test_sixty_days_are_needed_and_who_has_fewer_is_named() -> None:
    enough = days(250)
    enough[:190, 1] = np.nan
    assert returns_risk(*of(enough)).volatility is not None
    enough[190, 1] = np.nan
    found = returns_risk(*of(enough))
    assert (found.days, found.missing, found.volatility, found.risk_shares) == (59, ("BBB",), None, None)
    assert found.correlation.average is None
    assert {row.amount for row in found.values_at_risk} == {None}


def test_gaps_that_leave_too_few_days_in_common_are_all_named() -> None:
    gaps = days(110)
    gaps[:40, 0] = gaps[70:, 2] = np.nan
    found = returns_risk(*of(gaps))
    assert (found.days, found.missing) == (30, ("AAA", "CCC"))


def test_cash_alone_has_no_risk() -> None:
    found = returns_risk({}, {}, D(1000))
    assert found.volatility == 0 and found.missing == () and found.risk_shares == {}
    assert [(row.percentage, row.amount) for row in found.values_at_risk] == [(0, 0), (0, 0)]


seeds = st.integers(0, 10_000)
counts = st.integers(100, 300)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, count=counts, order=st.permutations(SYMBOLS))
def test_the_order_of_the_holdings_changes_nothing(seed: int, count: int, order: list[str]) -> None:
    weights, returns, equity = of(days(count, seed))
    shuffled = {symbol: weights[symbol] for symbol in order}
    assert returns_risk(shuffled, returns, equity) == returns_risk(weights, returns, equity)
    assert concentration(shuffled) == concentration(weights)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, count=counts, factor=st.integers(2, 50))
def test_what_always_holds(seed: int, count: int, factor: int) -> None:
    found = returns_risk(*of(days(count, seed)))
    of_95, of_99 = found.values_at_risk
    assert of_95.percentage is not None and of_99.percentage is not None
    assert of_95.shortfall_percentage is not None and of_99.shortfall_percentage is not None
    assert of_95.percentage <= of_99.percentage
    assert of_95.percentage <= of_95.shortfall_percentage <= of_99.shortfall_percentage + 1e-12
    assert found.risk_shares is not None
    assert sum(found.risk_shares.values()) == pytest.approx(1)
    # So many times the equity in the same weights: the same percentages, so many times the amounts.
    richer = returns_risk(*of(days(count, seed), equity=1000 * factor))
    assert richer.volatility == found.volatility
    for mine, theirs in zip(found.values_at_risk, richer.values_at_risk, strict=True):
        assert theirs.percentage == mine.percentage
        assert theirs.amount is not None and mine.amount is not None
        assert abs(theirs.amount - factor * mine.amount) <= factor * D("0.00000001")
    # Half as much of everything: half the risk.
    halved = returns_risk(*of(days(count, seed), weights=WEIGHTS / 2))
    assert found.volatility is not None and halved.volatility == pytest.approx(found.volatility / 2)
    assert halved.values_at_risk[1].percentage == pytest.approx(of_99.percentage / 2)
    assert halved.correlation.average == found.correlation.average
    assert halved.risk_shares == pytest.approx(found.risk_shares)


# Drawdown.


def test_drawdown_and_the_days_profit() -> None:
    found = drawdown(D(90), Marks(day_open_equity=D(96), peak_equity=D(120)))
    assert (found.peak_equity, found.amount, found.percentage) == (120, 30, 25)
    assert (found.day_open_equity, found.daily_pnl, found.daily_pnl_percentage) == (96, -6, D("-6.25"))


def test_a_new_height_is_no_drawdown() -> None:
    found = drawdown(D(130), Marks(day_open_equity=None, peak_equity=D(120)))
    assert (found.peak_equity, found.amount, found.percentage) == (130, 0, 0)
    assert (found.day_open_equity, found.daily_pnl, found.daily_pnl_percentage) == (None, None, None)


def test_unknown_in_unknown_out() -> None:
    assert drawdown(None, Marks(day_open_equity=D(1), peak_equity=D(1))) == drawdown(D(1), None) == Drawdown()
    broke = drawdown(D(0), Marks(day_open_equity=D(0), peak_equity=D(0)))
    assert (broke.percentage, broke.daily_pnl_percentage) == (None, None)
