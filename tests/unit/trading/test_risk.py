"""Each control at its boundary: one unit within passes, one unit beyond refuses with its code and numbers."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from portfolios.core.limits import CATALOGUE, EffectiveLimits
from trading.core.risk import Approved, RefusalCode, Refused, RiskRequest, assess, findings_as_rows

D = Decimal
LIMITS: dict[str, Decimal | None] = {spec.name: spec.default for spec in CATALOGUE} | {
    "max_order_value": D(10_000),
    "max_order_quantity": D(100),
    "max_position_percentage": D(20),
    "max_open_positions": D(5),
    "max_gross_exposure_percentage": D(80),
    "max_daily_trades": D(10),
    "max_daily_loss_percentage": D(3),
    "max_price_age_seconds": D(30),
}
BUY = RiskRequest(
    side="buy", quantity=D(50), price=D(100), cost=D(5_010), equity=D(100_000), free_cash=D(50_000),
    free_quantity=D(0), position_value=D(0), gross_exposure=D(50_000), open_positions=2, opens_position=True,
    daily_trades=3, daily_pnl_percentage=D(0), price_age_seconds=D(1), market_open=True, instrument_active=True,
    protective=False, halt=None, halt_reason="", unknown_on_symbol=0,
    limits=EffectiveLimits(values=LIMITS, versions="platform:1"),
)  # fmt: skip
SELL = replace(
    BUY, side="sell", cost=D(0), free_quantity=D(50), position_value=D(5_000), opens_position=False
)


def code_of(request: RiskRequest) -> RefusalCode | None:
    verdict = assess(request)
    return verdict.code if isinstance(verdict, Refused) else None


def test_an_ordinary_buy_and_sell_pass() -> None:
    assert isinstance(assess(BUY), Approved) and isinstance(assess(SELL), Approved)


@pytest.mark.parametrize(
    ("within", "beyond", "code"),
    [
        ({"quantity": D(100)}, {"quantity": D(101), "price": D(90)}, "MAX_ORDER_QUANTITY"),
        ({"price": D(200)}, {"price": D("200.01")}, "MAX_ORDER_VALUE"),  # a cent a share
        ({"price_age_seconds": D(30)}, {"price_age_seconds": D("30.001")}, "STALE_DATA"),
        ({"price_age_seconds": D(0)}, {"price_age_seconds": D("Infinity")}, "STALE_DATA"),  # no quote at all
        ({"cost": D(50_000)}, {"cost": D("50000.01")}, "INSUFFICIENT_CASH"),
        ({"position_value": D(15_000)}, {"position_value": D("15000.01")}, "MAX_POSITION_SIZE"),
        ({"open_positions": 4}, {"open_positions": 5}, "MAX_OPEN_POSITIONS"),
        ({"gross_exposure": D(75_000)}, {"gross_exposure": D("75000.01")}, "MAX_GROSS_EXPOSURE"),
        (
            {"daily_pnl_percentage": D("-2.99")},
            {"daily_pnl_percentage": D(-3)},
            "MAX_DAILY_LOSS",
        ),  # reached: enough
        ({"daily_trades": 9}, {"daily_trades": 10}, "MAX_DAILY_TRADES"),
        ({"market_open": True}, {"market_open": False}, "MARKET_CLOSED"),
        ({"instrument_active": True}, {"instrument_active": False}, "NOT_PERMITTED"),
        ({"unknown_on_symbol": 0}, {"unknown_on_symbol": 1}, "UNKNOWN_OUTSTANDING"),
        ({"halt": None}, {"halt": "reduce_only"}, "HALTED"),
        ({"halt": None}, {"halt": "halt"}, "HALTED"),
    ],
)
def test_a_buy_at_the_boundary(within: dict[str, Any], beyond: dict[str, Any], code: str) -> None:
    assert code_of(replace(BUY, **within)) is None
    assert code_of(replace(BUY, **beyond)) == code


@pytest.mark.parametrize("name", ["max_order_value", "max_daily_trades"])
def test_a_limit_that_is_not_set_means_no_trade_but_never_stops_a_reduction(name: str) -> None:
    limits = EffectiveLimits(values=LIMITS | {name: None}, versions="platform:1")
    assert code_of(replace(BUY, limits=limits)) == "NO_LIMIT_SET"
    assert code_of(replace(SELL, limits=limits)) is None


@pytest.mark.parametrize(
    "beyond",
    [
        {"quantity": D(101), "free_quantity": D(200)}, {"price": D(500)}, {"gross_exposure": D(99_000)},
        {"position_value": D(90_000)}, {"open_positions": 50}, {"daily_trades": 100},
        {"daily_pnl_percentage": D(-50)}, {"halt": "reduce_only"}, {"instrument_active": False},
        {"free_cash": D(-5)},
    ],
)  # fmt: skip
def test_what_only_reduces_risk_is_never_blocked_by_a_limit(beyond: dict[str, Any]) -> None:
    assert code_of(replace(SELL, **beyond)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": D(51)}, "INSUFFICIENT_POSITION"),  # one more than is held: that would be a short
        ({"halt": "halt"}, "HALTED"),
        ({"market_open": False}, "MARKET_CLOSED"),
        ({"price_age_seconds": D(31)}, "STALE_DATA"),
        ({"unknown_on_symbol": 1}, "UNKNOWN_OUTSTANDING"),  # or it could sell twice
    ],
)
def test_what_stops_a_sell_all_the_same(change: dict[str, Any], code: str) -> None:
    assert code_of(replace(SELL, **change)) == code


def test_a_protection_sells_on_an_old_price() -> None:
    assert code_of(replace(SELL, protective=True, price_age_seconds=D(9_999))) is None


@pytest.mark.parametrize("name", ["equity", "gross_exposure", "daily_pnl_percentage"])
def test_an_unknown_fact_refuses_a_buy(name: str) -> None:
    assert code_of(replace(BUY, **{name: D("NaN")})) is not None


def test_a_refusal_names_code_value_and_limit() -> None:
    verdict = assess(replace(BUY, price=D(250)))
    assert isinstance(verdict, Refused)
    assert verdict.detail == "MAX_ORDER_VALUE: value=12500 limit=10000"


def test_the_first_control_that_fails_gives_the_code_and_all_findings_are_kept() -> None:
    verdict = assess(replace(BUY, halt="halt", market_open=False, price=D(250)))
    assert isinstance(verdict, Refused) and verdict.code == "HALTED"
    failed = [row["code"] for row in findings_as_rows(verdict.findings) if not row["passed"]]
    assert failed[:3] == ["HALTED", "MARKET_CLOSED", "MAX_ORDER_VALUE"]
