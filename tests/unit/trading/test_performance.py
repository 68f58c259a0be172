"""A session's figures: its trades by hand, its curve by hand and against empyrical as oracle."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading.core.performance import (
    ClosedTrade,
    Curve,
    FilledPart,
    by_day,
    linked,
    max_drawdown,
    measure,
    returns,
    sharpe,
    slippage,
    summarise,
)

D = Decimal
FIRST = datetime(2004, 1, 5, 21, tzinfo=UTC)
DAY = timedelta(days=1)


def curve(equity, *, paid_in=None, exposure=None, step=DAY) -> Curve:
    worth = np.array(equity, dtype=float)
    return Curve(
        at=[FIRST + place * step for place in range(len(worth))],
        equity=worth,
        exposure=np.zeros(len(worth)) if exposure is None else np.array(exposure, dtype=float),
        paid_in=np.full(len(worth), worth[0]) if paid_in is None else np.array(paid_in, dtype=float),
    )


def test_a_session_without_trades_has_no_rates() -> None:
    told = summarise([], unrealised=D(0))
    assert (told["total_trades"], told["win_rate"], told["profit_factor"]) == (0, None, None)


def test_profits_losses_and_fees() -> None:
    trades = [
        ClosedTrade("buy", D(0), D(1)), ClosedTrade("sell", D(100), D(1)), ClosedTrade("sell", D(-40), D(1)),
        ClosedTrade("sell", D(60), D(1)),
    ]  # fmt: skip
    told = summarise(trades, unrealised=D(5))
    assert told["realised_pnl"] == D(119)  # 100 - 40 + 60, less the buy's fee
    assert told["fees"] == 4
    assert (told["total_trades"], told["successful_trades"]) == (4, 2)
    assert told["win_rate"] == D("0.6667") and told["profit_factor"] == D(4)
    assert told["unrealised_pnl"] == 5


@pytest.mark.parametrize(
    ("equity", "paid_in", "expected"),
    [
        ([100, 110, 121], [100, 100, 100], 0.21),
        ([100, 110, 1110, 1221], [100, 100, 1100, 1100], 0.21),  # a deposit earns nothing by itself
        ([100, 110, 60, 66], [100, 100, 50, 50], 0.21),  # and a withdrawal loses nothing
        ([0, 0, 100, 110], [0, 0, 100, 100], 0.10),  # before there is capital nothing is earned
        ([100, 50], [100, 100], -0.5),
        ([100, 0, 0], [100, 100, 100], -1.0),
    ],
)
def test_what_is_paid_in_is_no_profit(equity, paid_in, expected) -> None:
    assert measure(curve(equity, paid_in=paid_in)).total_return == pytest.approx(expected)


def test_a_drawdown_is_measured_on_what_money_has_become() -> None:
    assert measure(curve([100, 120, 90, 130, 104])).max_drawdown == pytest.approx(0.25)
    assert measure(curve([100, 101, 102])).max_drawdown == 0
    # money that is taken out is no fall, and money that comes in does not hide one
    assert measure(curve([100, 50, 50], paid_in=[100, 50, 50])).max_drawdown == 0
    assert measure(curve([100, 190, 190], paid_in=[100, 200, 200])).max_drawdown == pytest.approx(0.10)


def test_nothing_is_measured_without_capital_or_without_a_step() -> None:
    without = measure(curve([0, 0, 0]))
    assert (without.total_return, without.max_drawdown, without.mean_exposure) == (None, None, None)
    assert measure(curve([100])).total_return is None


def test_exposure_is_a_part_of_what_there_was() -> None:
    told = measure(curve([100, 100, 0, 200], exposure=[0, 50, 0, 200]))
    assert (told.mean_exposure, told.max_exposure) == (0.5, 1.0)


def test_days_count_by_their_last_value_in_utc() -> None:
    at = [FIRST - timedelta(hours=6), FIRST, FIRST + timedelta(hours=4), FIRST + 3 * DAY]
    assert by_day(at, np.array([1.0, 2.0, 3.0, 6.0])).tolist() == [0.5, 1.0]
    assert by_day(at[:1], np.array([1.0])).size == 0


def test_sharpe_needs_twenty_days_that_deviate() -> None:
    rising = np.tile([0.01, 0.02], 10)
    by_hand = 0.015 / (0.005 * np.sqrt(20 / 19)) * np.sqrt(252)
    assert sharpe(rising) == pytest.approx(by_hand)
    assert sharpe(rising[:19]) is None
    assert sharpe(np.full(30, 0.01)) is None
    assert measure(curve(np.cumprod(np.append(100, 1 + rising)))).sharpe == pytest.approx(by_hand)
    # within one day nothing deviates by day
    assert measure(curve(np.cumprod(np.append(100, 1 + rising)), step=timedelta(minutes=15))).sharpe is None


def test_slippage_costs_whichever_side_it_is_on() -> None:
    worse = [FilledPart("buy", D(100), D("100.12"), D(50)), FilledPart("sell", D(50), D(49), D(10))]
    found = slippage(worse)
    assert found.cost == D("16.00")
    assert found.bps == pytest.approx(16 / 5_500 * 10_000)
    assert slippage([FilledPart("buy", D(100), D(99), D(3))]).cost == -3
    assert (slippage([]).cost, slippage([]).bps) == (0, None)


PRICES = st.lists(st.floats(1.0, 1e7), min_size=2, max_size=60)


@given(PRICES)
def test_without_flows_it_is_what_empyrical_says(equity: list[float]) -> None:
    told, steps = measure(curve(equity)), returns(equity, np.full(len(equity), 7.0))
    series = pd.Series(equity).pct_change().dropna()
    assert np.allclose(steps, series, rtol=1e-9, atol=1e-12)
    assert told.total_return == pytest.approx(empyrical.cum_returns_final(series), rel=1e-9, abs=1e-9)
    assert told.max_drawdown == pytest.approx(-empyrical.max_drawdown(series), rel=1e-9, abs=1e-9)
    assert max_drawdown(linked(steps)) == told.max_drawdown


@given(st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=300))
def test_the_sharpe_ratio_is_empyricals(daily: list[float]) -> None:
    assume(np.std(daily, ddof=1) > 1e-9)
    index = linked(np.array(daily))
    at = [FIRST + place * DAY for place in range(len(index))]
    assert sharpe(by_day(at, index)) == pytest.approx(empyrical.sharpe_ratio(np.array(daily)), rel=1e-6)
    assert sharpe(np.array(daily)) == pytest.approx(empyrical.sharpe_ratio(np.array(daily)), rel=1e-9)


@given(PRICES, st.data())
def test_a_flow_changes_neither_return_nor_drawdown(equity: list[float], data: st.DataObject) -> None:
    """Whoever pays in at a point, and is worth so much more from then on by the same steps, has done as well."""
    place = data.draw(st.integers(1, len(equity) - 1))
    factor = data.draw(st.floats(0.1, 10.0))
    worth = np.array(equity)
    grown = np.concatenate([worth[: place + 1], [worth[place] * factor], worth[place + 1 :] * factor])
    paid = np.concatenate([np.zeros(place + 1), np.full(len(equity) - place, worth[place] * (factor - 1))])
    plain, with_flow = measure(curve(equity)), measure(curve(grown, paid_in=paid))
    assert with_flow.total_return == pytest.approx(plain.total_return, rel=1e-6, abs=1e-6)
    assert with_flow.max_drawdown == pytest.approx(plain.max_drawdown, rel=1e-6, abs=1e-6)
