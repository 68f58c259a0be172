"""What a portfolio is worth, and the facts that rules ask of it."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.core.facts import Holding, Marks, Valuation, value

D = Decimal
AS_OF = datetime(2010, 3, 10, 15, 0, tzinfo=UTC)
AAA = Holding(
    symbol="AAA", sector="Tech", quantity=D(100), average_cost=D(100), opened_at=AS_OF - timedelta(days=3, hours=5),
    peak_price=D(125),
)  # fmt: skip


def valued(**changes: Any) -> Valuation:
    given: dict[str, Any] = {
        "cash": D(5_000), "reserved_cash": D(0), "holdings": [AAA], "prices": {"AAA": 110.0}, "marks": None,
        "as_of": AS_OF,
    }  # fmt: skip
    return value(**given | changes)


def test_equity_is_cash_and_positions() -> None:
    found = valued()
    assert found.equity == 16_000
    assert found.portfolio["portfolio_cash_percentage"] == pytest.approx(31.25)
    assert found.portfolio["gross_exposure_percentage"] == pytest.approx(68.75)
    assert found.portfolio["open_positions"] == 1


def test_position_facts() -> None:
    facts = valued().positions["AAA"]
    assert facts["position_pnl_percentage"] == pytest.approx(10)
    assert facts["position_weight_percentage"] == pytest.approx(68.75)
    assert facts["holding_days"] == 3
    assert facts["drawdown_from_peak_percentage"] == pytest.approx(12)


def test_a_working_buy_counts_as_held_and_its_cash_as_spent() -> None:
    buying = Holding(symbol="BBB", sector="Oil", quantity=D(0), average_cost=D(0), working_cash=D(1_600))
    found = valued(holdings=[AAA, buying], reserved_cash=D(1_600), prices={"AAA": 110.0, "BBB": 1.0})
    assert found.portfolio["portfolio_cash_percentage"] == pytest.approx(21.25)
    assert found.portfolio["open_positions"] == 2
    assert found.sectors == {"Tech": pytest.approx(68.75), "Oil": pytest.approx(10)}
    assert "BBB" not in found.positions  # nothing of it is held yet
    assert found.held == ("AAA", "BBB")


def test_an_unknown_price_makes_the_equity_unknown() -> None:
    found = valued(prices={})
    assert math.isnan(found.equity)
    assert all(
        math.isnan(found.portfolio[name]) for name in ("portfolio_cash_percentage", "drawdown_percentage")
    )


def test_the_days_profit_and_the_drawdown_are_measured_against_the_marks() -> None:
    found = valued(marks=Marks(day_open_equity=D(20_000), peak_equity=D(32_000)))
    assert found.portfolio["daily_pnl_percentage"] == pytest.approx(-20)
    assert found.portfolio["drawdown_percentage"] == pytest.approx(50)


def test_a_day_that_has_not_begun_has_no_profit() -> None:
    found = valued(marks=Marks(day_open_equity=None, peak_equity=D(10)))
    assert found.portfolio["daily_pnl_percentage"] == 0
    assert found.portfolio["drawdown_percentage"] == 0  # a new peak


def test_an_empty_portfolio_has_no_percentages() -> None:
    found = valued(cash=D(0), holdings=[])
    assert math.isnan(found.portfolio["portfolio_cash_percentage"])
