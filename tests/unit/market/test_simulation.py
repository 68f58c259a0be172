"""The simulated market: the same from a seed, to the last bit, and with the traits that it promises."""

import itertools

import numpy as np
import pytest

from market.core.simulation import BLOCK, HALTING_JUMP, SimulatedSymbol, Simulation

SYMBOLS = [SimulatedSymbol(f"S{number:02}", f"Sector {number % 3}") for number in range(12)]
DAYS = [day for day in range(1_500) if day % 7 < 5]
STEPS, MINUTES = 13, 390.0


def simulation(*, seed=7, symbols=SYMBOLS, days=DAYS):
    return Simulation(seed=seed, symbols=symbols, days=days)


def walk(simulated, days):
    return [simulated.day(day, steps=STEPS, minutes=MINUTES) for day in days]


@pytest.fixture(scope="module")
def history():
    return walk(simulation(), DAYS)


@pytest.fixture(scope="module")
def returns(history):
    """[day, symbol] from close to close."""
    return np.diff(np.log([day.prices[-1] for day in history]), axis=0)


@pytest.mark.parametrize("day", [0, 1, BLOCK - 2, BLOCK, 3 * BLOCK + 3, DAYS[-1]])
def test_any_day_is_the_same_whether_the_days_before_were_walked_through_or_not(history, day):
    alone = simulation().day(day, steps=STEPS, minutes=MINUTES)
    walked = history[DAYS.index(day)]
    for name in ("prices", "half_spread", "volume", "halted"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(walked, name), err_msg=name)


def test_another_seed_is_another_market(history):
    other = simulation(seed=8).day(10, steps=STEPS, minutes=MINUTES)
    assert not np.isclose(other.prices, history[DAYS.index(10)].prices).any()


def test_another_symbol_changes_nothing_of_the_others(history):
    more = [*SYMBOLS, SimulatedSymbol("T", "Sector 1")]
    of_more = simulation(symbols=more).day(310, steps=STEPS, minutes=MINUTES)
    np.testing.assert_array_equal(of_more.prices[:, :-1], history[DAYS.index(310)].prices)


def test_later_days_of_a_calendar_change_nothing_of_the_earlier_ones(history):
    shorter = simulation(days=DAYS[:400]).day(DAYS[399], steps=STEPS, minutes=MINUTES)
    np.testing.assert_array_equal(shorter.prices, history[399].prices)


def test_days_join_without_a_seam(history):
    """Overnight moves are of the size of a quarter of a day's variance; a seam would tear the prices apart."""
    gaps = np.log([later.prices[0] / day.prices[-1] for day, later in itertools.pairwise(history)])
    assert 0.003 < gaps.std() < 0.02
    assert np.abs(gaps).max() < 0.12


def test_symbols_move_together_and_those_of_a_sector_more_so(returns):
    correlation = np.corrcoef(returns.T)
    same = [correlation[i, j] for i in range(12) for j in range(i) if i % 3 == j % 3]
    other = [correlation[i, j] for i in range(12) for j in range(i) if i % 3 != j % 3]
    assert 0.1 < np.mean(other) < np.mean(same) < 0.7


def test_returns_have_fat_tails_and_volatility_comes_in_clusters(returns):
    centred = returns - returns.mean(axis=0)
    kurtosis = (centred**4).mean(axis=0) / (centred**2).mean(axis=0) ** 2
    assert np.median(kurtosis) > 4
    size = np.abs(centred).mean(axis=1)
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.15


def test_a_year_is_about_as_volatile_as_shares_are(returns):
    yearly = returns.std(axis=0) * 252**0.5
    assert (yearly > 0.15).all() and (yearly < 0.9).all()


def test_some_symbols_are_halted_now_and_then_but_never_at_open_or_close(history):
    halted = np.array([day.halted for day in history])
    assert 0.0002 < halted.mean() < 0.005
    assert not halted[:, 0].any() and not halted[:, -1].any()


def test_a_large_jump_halts_its_symbol(history):
    moves = np.array([np.diff(np.log(day.prices), axis=0) for day in history])
    day, step, symbol = np.argwhere(np.abs(moves[:, :-1]) > HALTING_JUMP + 0.05).T
    assert len(day) > 3
    assert np.array([history[d].halted[s + 1, i] for d, s, i in zip(day, step, symbol, strict=True)]).all()


def test_spreads_widen_when_it_is_wild(history):
    widths = {round(float(day.half_spread[0] / history[0].half_spread[0]), 6) for day in history}
    assert len(widths) == 2 and max(widths) / min(widths) == pytest.approx(2.2 / 0.8)


def test_turnover_is_u_shaped_and_only_grows(history):
    volume = np.array([day.volume for day in history]).sum(axis=(0, 2))
    of_step = np.diff(volume)
    assert (of_step > 0).all()
    assert of_step[0] > 1.5 * of_step[STEPS // 2] < of_step[-1]


def test_it_begins_at_the_prices_that_are_given():
    given = [SimulatedSymbol("A", "X", 50.0), SimulatedSymbol("B", "X")]
    first = simulation(symbols=given).day(0, steps=STEPS, minutes=MINUTES)
    assert first.prices[0, 0] == pytest.approx(50, rel=0.06)
    assert 18 < first.prices[0, 1] < 215
