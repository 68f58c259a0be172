"""A percentage that a person would write is exactly that number, so that a rule may ask for it."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.core.percentages import as_written
from portfolios.core.columns import NEVER, OwnedColumns, value_many
from portfolios.core.facts import Holding, Marks, value

D = Decimal
AS_OF = datetime(2010, 3, 10, 15, 0, tzinfo=UTC)
WHOLE = [k for k in range(-99, 100) if k]


def alone(**owned: Any) -> dict[str, float]:
    """The facts of a portfolio with 1 unit of AAA, one by one."""
    found = value(
        cash=D(owned["cash"]), reserved_cash=D(0), prices={"AAA": owned["price"]}, as_of=AS_OF,
        holdings=[Holding("AAA", "Tech", D(1), D(owned["cost"]), peak_price=D(owned["peak"]))],
        marks=Marks(day_open_equity=D(100), peak_equity=D(100)),
    )  # fmt: skip
    return {**found.portfolio, **found.positions["AAA"], "sector_exposure_percentage": found.sectors["Tech"]}


def in_columns(**owned: Any) -> dict[str, float]:
    """The same in columns, which know no sectors."""
    columns = OwnedColumns(
        portfolio_ids=[uuid.UUID(int=1)],
        **{
            name: np.array([float(figure)])
            for name, figure in {
                "cash": owned["cash"], "reserved_cash": 0, "mark_day": 20_000, "day_open_equity": 100,
                "peak_equity": 100, "quantity": 1, "average_cost": owned["cost"], "peak_price": owned["peak"],
                "working_cash": 0,
            }.items()
        },
        **{name: np.zeros(1, np.int64) for name in ("rules_revision", "owner", "instrument_id", "position_id")},
        opened_at=np.array([NEVER]),
        unsettled=np.zeros(1, np.bool_),
    )  # fmt: skip
    found = value_many(columns, prices=np.array([float(owned["price"])]), as_of=AS_OF)
    return {name: float(column[0]) for name, column in {**found.portfolio, **found.positions}.items()}


@pytest.mark.parametrize("facts", [alone, in_columns])
@pytest.mark.parametrize("cost", ["100", "10", "0.3", "12.50"])
def test_a_gain_or_loss_of_whole_percents_is_exactly_that(facts: Any, cost: str) -> None:
    for percent in WHOLE:
        price = D(cost) * (100 + percent) / 100
        found = facts(cash=0, cost=cost, price=float(price), peak=price)
        assert found["position_pnl_percentage"] == percent


@pytest.mark.parametrize("facts", [alone, in_columns])
def test_what_is_measured_against_peaks_marks_and_equity_is_exact_too(facts: Any) -> None:
    """Equity was 100, and so much is lost; or is 100, of which so much and a tenth is held."""
    for percent in range(1, 100):
        found = facts(cash=0, cost=100, price=float(100 - percent), peak=100)
        assert found["drawdown_from_peak_percentage"] == percent
        assert found["drawdown_percentage"] == percent
        assert found["daily_pnl_percentage"] == -percent
        worth = D(percent) + D("0.1")
        found = facts(cash=100 - worth, cost=100, price=float(worth), peak=100)
        assert found["position_weight_percentage"] == found["gross_exposure_percentage"] == float(worth)
        assert found["portfolio_cash_percentage"] == float(100 - worth)
        assert found.get("sector_exposure_percentage", float(worth)) == float(worth)


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=9))
def test_what_is_written_is_met_from_both_sides(written: Decimal) -> None:
    number = float(written)
    around = np.array([np.nextafter(number, -np.inf), number, np.nextafter(number, np.inf)])
    assert (as_written(around) == number).all()


@given(st.one_of(st.just(np.nan), st.floats(min_value=-1e30, max_value=1e30)))
def test_a_number_and_an_array_are_rounded_to_the_same_bits(percentage: float) -> None:
    rounded = as_written(percentage)
    np.testing.assert_array_equal(
        as_written(np.array([percentage])).view(np.int64), np.float64(rounded).view(np.int64)
    )
    if not np.isnan(percentage):
        assert rounded == pytest.approx(percentage, rel=3e-16, abs=5.1e-10)
