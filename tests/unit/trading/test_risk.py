"""Each control at its boundary: one unit within passes, one unit beyond refuses with its code and numbers."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from portfolios.core.limits import CATALOGUE, EffectiveLimits
from tests.harness.orders import BUY, LIMITS, SELL, code_of
from trading.core.controls import CONTROLS, Reductions
from trading.core.risk import Approved, RefusalCode, Refused, RiskRequest, assess, findings_as_rows

D = Decimal
NAN = D("NaN")
# (a change within the limit, the same one unit beyond, its code); the comment says the unit
BOUNDARIES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"halt": None}, {"halt": "reduce_only"}, "HALTED"),
    ({"halt": None}, {"halt": "halt"}, "HALTED"),
    ({"actor_objection": ""}, {"actor_objection": "is no trader"}, "NOT_PERMITTED"),
    ({"instrument_objection": ""}, {"instrument_objection": "it is restricted"}, "NOT_PERMITTED"),
    ({"terms_objection": ""}, {"terms_objection": "it has market"}, "NOT_PERMITTED"),
    ({"market_open": True}, {"market_open": False}, "MARKET_CLOSED"),
    ({"time_objection": ""}, {"time_objection": "before the session's hours"}, "TIME_RESTRICTED"),
    ({"price_age_seconds": D(30)}, {"price_age_seconds": D("30.001")}, "STALE_DATA"),  # a millisecond
    ({"price_age_seconds": D(0)}, {"price_age_seconds": D("Infinity")}, "STALE_DATA"),  # no quote at all
    (
        {"recommendation_age_minutes": D(1_440)},
        {"recommendation_age_minutes": D("1440.1")},
        "STALE_DATA",
    ),
    ({"execution_price": D(102)}, {"execution_price": D("102.01")}, "PRICE_COLLAR"),  # a tick
    ({"bar_close": D(80)}, {"bar_close": D("79.99")}, "PRICE_COLLAR"),  # a tick: 100 is 25 % above 80
    ({"price": D(200), "execution_price": D(200), "bar_close": D(200)},
     {"price": D("200.01"), "execution_price": D(200), "bar_close": D(200)}, "MAX_ORDER_VALUE"),  # a cent a share
    ({"quantity": D(100)}, {"quantity": D(101), "price": D(99), "execution_price": D(99)}, "MAX_ORDER_QUANTITY"),
    ({"messages_last_second": 7}, {"messages_last_second": 8}, "MAX_MESSAGES"),  # 8 of 10: two are kept
    ({"messages_last_minute": 79}, {"messages_last_minute": 80}, "MAX_MESSAGES"),
    ({"twins": 0}, {"twins": 1}, "DUPLICATE_ORDER"),
    ({"own_working": 0}, {"own_working": 1}, "DUPLICATE_ORDER"),
    ({"rule_executions": 6}, {"rule_executions": 7}, "REPEATED_EXECUTION"),
    ({"cost": D(50_000)}, {"cost": D("50000.01")}, "INSUFFICIENT_CASH"),  # a cent
    ({"position_value": D(15_000)}, {"position_value": D("15000.01")}, "MAX_POSITION_SIZE"),
    (
        {"position_value": D(25_000), "equity": D(200_000)},
        {"position_value": D("25000.01"), "equity": D(200_000)},
        "MAX_POSITION_VALUE",
    ),
    ({"open_positions": 4}, {"open_positions": 5}, "MAX_OPEN_POSITIONS"),
    ({"gross_exposure": D(75_000)}, {"gross_exposure": D("75000.01")}, "MAX_GROSS_EXPOSURE"),
    ({"session_invested": D(35_000)}, {"session_invested": D("35000.01")}, "CAPITAL_CAP"),
    ({"sector_exposure": D(35_000)}, {"sector_exposure": D("35000.01")}, "MAX_SECTOR_EXPOSURE"),
    ({"correlation": D("0.9")}, {"correlation": D("0.9001")}, "MAX_CORRELATION"),
    (
        {"effective_holdings_after": D(3)},
        {"effective_holdings_after": D("2.99")},
        "MIN_DIVERSIFICATION",
    ),
    ({"volatility": D("0.6")}, {"volatility": D("0.6001")}, "MARKET_CONDITION"),
    ({"volume": D(1_000_000)}, {"volume": D(999_999)}, "MARKET_CONDITION"),  # a share
    ({"relative_volume": D("0.5")}, {"relative_volume": D("0.4999")}, "MARKET_CONDITION"),
    ({"spread_bps": D(50)}, {"spread_bps": D("50.01")}, "MARKET_CONDITION"),
    # losses and streaks: to reach the limit is enough
    ({"daily_pnl_percentage": D("-2.99")}, {"daily_pnl_percentage": D(-3)}, "MAX_DAILY_LOSS"),
    ({"drawdown_percentage": D("14.99")}, {"drawdown_percentage": D(15)}, "MAX_DRAWDOWN"),
    ({"losing_streak": 4}, {"losing_streak": 5}, "MAX_LOSING_STREAK"),
    ({"minutes_since_sold": D(20)}, {"minutes_since_sold": D("19.9")}, "COOLDOWN"),
    ({"daily_trades": 9}, {"daily_trades": 10}, "MAX_DAILY_TRADES"),
    ({"daily_trades_of_rule": 5}, {"daily_trades_of_rule": 6}, "MAX_DAILY_TRADES"),
    ({"daily_trades_of_symbol": 3}, {"daily_trades_of_symbol": 4}, "MAX_DAILY_TRADES"),
    ({"opposite_orders": 0}, {"opposite_orders": 1}, "WASH_TRADE"),
    ({"unknown_before": 0}, {"unknown_before": 1}, "UNKNOWN_OUTSTANDING"),
]  # fmt: skip
# with 100 % of gross exposure permitted, leverage speaks
LEVERED = EffectiveLimits(
    values=dict(LIMITS) | {"max_gross_exposure_percentage": D(1000)}, versions="platform:1"
)


def without(*names: str) -> EffectiveLimits:
    return EffectiveLimits(values=dict(LIMITS) | dict.fromkeys(names), versions="platform:1")


def limited(**values: int) -> EffectiveLimits:
    return EffectiveLimits(
        values=dict(LIMITS) | {name: D(value) for name, value in values.items()}, versions="platform:1"
    )


def test_an_ordinary_buy_and_sell_pass() -> None:
    assert isinstance(assess(BUY), Approved) and isinstance(assess(SELL), Approved)


@pytest.mark.parametrize(("within", "beyond", "code"), BOUNDARIES)
def test_a_buy_at_the_boundary(within: dict[str, Any], beyond: dict[str, Any], code: str) -> None:
    assert code_of(replace(BUY, **within)) is None
    assert code_of(replace(BUY, **beyond)) == code


def test_leverage_at_the_boundary() -> None:
    assert code_of(replace(BUY, limits=LEVERED, gross_exposure=D(75_000))) is None
    assert code_of(replace(BUY, limits=LEVERED, gross_exposure=D("75000.01"))) == "MAX_LEVERAGE"


def test_every_code_but_those_of_sells_and_missing_limits_has_its_boundary_here() -> None:
    shown = {code for _, _, code in BOUNDARIES} | {"MAX_LEVERAGE", "INSUFFICIENT_POSITION", "NO_LIMIT_SET"}
    assert shown == {code.value for code in RefusalCode}


def test_every_code_is_a_control_and_they_stand_in_the_order_of_the_table() -> None:
    order = list(RefusalCode)
    places = [order.index(control.code) for control in CONTROLS]
    assert places == sorted(places)
    assert {control.code for control in CONTROLS} | {RefusalCode.NO_LIMIT_SET} == set(RefusalCode)


NEEDED = sorted({name for control in CONTROLS for name in control.limits})
OF_BREAKERS = {"max_rejections_per_minute", "max_feed_silence_seconds", "max_beat_silence_seconds"}


def test_every_limit_of_the_catalogue_is_asked_for() -> None:
    assert set(NEEDED) | OF_BREAKERS == {spec.name for spec in CATALOGUE}


@pytest.mark.parametrize("name", NEEDED)
def test_a_limit_that_is_not_set_means_no_trade_but_never_stops_a_reduction(name: str) -> None:
    verdict = assess(replace(BUY, limits=without(name)))
    assert isinstance(verdict, Refused)
    assert (verdict.code, verdict.detail) == ("NO_LIMIT_SET", f"NO_LIMIT_SET: value=not set limit={name}")
    assert code_of(replace(SELL, limits=without(name))) is None
    assert code_of(replace(SELL, limits=without(*NEEDED))) is None


@pytest.mark.parametrize(
    "beyond",
    [
        {"quantity": D(101), "free_quantity": D(200)},
        {"price": D(500), "execution_price": D(500), "bar_close": D(500)},
        {"gross_exposure": D(99_000)}, {"sector_exposure": D(99_000)}, {"position_value": D(90_000)},
        {"open_positions": 50}, {"daily_trades": 100}, {"daily_trades_of_rule": 100}, {"daily_trades_of_symbol": 100},
        {"daily_pnl_percentage": D(-50)}, {"drawdown_percentage": D(60)}, {"losing_streak": 30},
        {"minutes_since_sold": D(0)}, {"halt": "reduce_only"}, {"instrument_objection": "it is restricted"},
        {"time_objection": "after hours"}, {"free_cash": D(-5)}, {"session_invested": D(900_000)},
        {"rule_executions": 100}, {"volatility": D(9)}, {"volume": D(0)}, {"relative_volume": D(0)},
        {"spread_bps": D(900)}, {"effective_holdings_after": D(1)}, {"correlation": D(1)},
    ],
)  # fmt: skip
def test_what_only_reduces_risk_is_never_blocked_by_a_limit(beyond: dict[str, Any]) -> None:
    assert code_of(replace(SELL, **beyond)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": D(51)}, "INSUFFICIENT_POSITION"),  # one more than is held: that would be a short
        ({"halt": "halt"}, "HALTED"),
        ({"actor_objection": "is no trader"}, "NOT_PERMITTED"),
        ({"market_open": False}, "MARKET_CLOSED"),
        ({"price_age_seconds": D("30.001")}, "STALE_DATA"),
        ({"execution_price": D("97.99")}, "PRICE_COLLAR"),  # a tick beyond 2 %
        ({"bar_close": D("133.34")}, "PRICE_COLLAR"),  # 100 is a tick more than 25 % below
        ({"messages_last_second": 10}, "MAX_MESSAGES"),
        ({"messages_last_minute": 100}, "MAX_MESSAGES"),
        ({"twins": 1}, "DUPLICATE_ORDER"),
        ({"own_working": 1}, "DUPLICATE_ORDER"),
        ({"terms_objection": "it has market"}, "NOT_PERMITTED"),
        ({"opposite_orders": 1}, "WASH_TRADE"),
        ({"unknown_before": 1}, "UNKNOWN_OUTSTANDING"),  # or it could sell twice
    ],
)
def test_what_stops_a_sell_all_the_same(change: dict[str, Any], code: str) -> None:
    assert code_of(replace(SELL, **change)) == code


@pytest.mark.parametrize("messages", [8, 9])
def test_the_last_messages_are_kept_for_what_reduces(messages: int) -> None:
    assert code_of(replace(BUY, messages_last_second=messages)) == "MAX_MESSAGES"
    assert code_of(replace(SELL, messages_last_second=messages)) is None


def test_a_single_message_a_second_is_still_one() -> None:
    """A fifth of one is none: the one slot is for whoever comes first."""
    limits = limited(max_messages_per_second=1)
    assert code_of(replace(BUY, limits=limits)) is None
    assert code_of(replace(BUY, limits=limits, messages_last_second=1)) == "MAX_MESSAGES"


def test_a_protection_sells_on_an_old_price() -> None:
    assert code_of(replace(SELL, protective=True, price_age_seconds=D(9_999))) is None


def test_a_protection_sells_however_far_the_price_has_fallen() -> None:
    fallen = replace(SELL, bar_close=D(1_000))
    assert code_of(fallen) == "PRICE_COLLAR"
    assert code_of(replace(fallen, protective=True)) is None
    too_low = replace(SELL, protective=True, execution_price=D("97.99"))
    assert code_of(too_low) == "PRICE_COLLAR", "the last price is of this moment, and the bid far from it"


def test_an_unknown_reference_never_holds_a_position_captive() -> None:
    assert code_of(replace(SELL, bar_close=NAN)) is None
    assert code_of(replace(BUY, bar_close=NAN)) == "PRICE_COLLAR"


@pytest.mark.parametrize(
    "name",
    [
        "equity", "gross_exposure", "sector_exposure", "position_value", "daily_pnl_percentage", "drawdown_percentage",
        "execution_price", "bar_close", "spread_bps", "volatility", "volume", "relative_volume", "correlation",
        "effective_holdings", "effective_holdings_after", "session_invested", "recommendation_age_minutes",
        "capital_cap",
    ],
)  # fmt: skip
def test_an_unknown_fact_refuses_a_buy(name: str) -> None:
    assert code_of(replace(BUY, **{name: NAN})) is not None


@pytest.mark.parametrize("spec", [spec for spec in CATALOGUE if spec.open_end is not None])
def test_a_limit_at_its_open_end_needs_no_fact(spec: Any) -> None:
    fact = {
        "max_correlation": "correlation", "min_effective_holdings": "effective_holdings_after",
        "max_volatility": "volatility", "min_volume": "volume", "min_relative_volume": "relative_volume",
        "max_spread_bps": "spread_bps", "max_price_move_percentage": "bar_close",
        "entry_cooldown_minutes": "minutes_since_sold",
    }.get(spec.name)  # fmt: skip
    if fact is None:
        assert spec.name in ("duplicate_order_seconds", "rule_execution_window_minutes")  # windows, no facts
        return
    limits = EffectiveLimits(values=dict(LIMITS) | {spec.name: spec.open_end}, versions="platform:1")
    assert code_of(replace(BUY, **{fact: NAN})) is not None
    assert code_of(replace(BUY, limits=limits, **{fact: NAN})) is None


def test_below_the_diversification_floor_only_what_spreads_more_is_bought() -> None:
    beginning = replace(BUY, effective_holdings=D(0), effective_holdings_after=D(1))
    assert code_of(beginning) is None
    assert code_of(replace(BUY, effective_holdings=D("1.9"), effective_holdings_after=D(2))) is None
    assert (
        code_of(replace(BUY, effective_holdings=D(2), effective_holdings_after=D(2))) == "MIN_DIVERSIFICATION"
    )


def test_an_order_of_nobodys_rule_is_not_held_against_rules() -> None:
    manual = replace(BUY, of_rule=False, recommendation_age_minutes=None)
    assert code_of(replace(manual, rule_executions=99)) is None


def test_a_session_without_a_cap_may_invest_everything() -> None:
    assert code_of(replace(BUY, capital_cap=None, session_invested=D(10**9))) is None


def test_a_refusal_names_code_value_and_limit() -> None:
    verdict = assess(replace(BUY, price=D(250), execution_price=D(250), bar_close=D(250)))
    assert isinstance(verdict, Refused)
    assert verdict.detail == "MAX_ORDER_VALUE: value=12500 limit=10000"


def test_a_code_of_several_limits_says_which_one_it_was() -> None:
    verdict = assess(replace(BUY, spread_bps=D(51)))
    assert isinstance(verdict, Refused)
    assert verdict.detail == "MARKET_CONDITION: value=51 limit=50 (max_spread_bps)"


def test_the_first_control_that_fails_gives_the_code_and_all_findings_are_kept() -> None:
    verdict = assess(replace(BUY, halt="halt", market_open=False, quantity=D(101)))
    assert isinstance(verdict, Refused) and verdict.code == "HALTED"
    failed = [row["code"] for row in findings_as_rows(verdict.findings) if not row["passed"]]
    assert failed == ["HALTED", "MARKET_CLOSED", "MAX_ORDER_VALUE", "MAX_ORDER_QUANTITY"]
    assert len(verdict.findings) == len(CONTROLS)


def _refuses(request: RiskRequest, place: int) -> bool:
    return not CONTROLS[place].check(request).passed


def test_the_table_says_truly_which_controls_hold_up_a_reduction() -> None:
    """Whatever makes a control refuse a buy is put to it as a sell."""
    for place, control in enumerate(CONTROLS):
        beyond = [
            change for _, change, _ in BOUNDARIES
            if _refuses(replace(BUY, **change), place)
        ] or [{"quantity": D(51)}, {"gross_exposure": D(10**6)}]  # fmt: skip
        held_up = any(
            _refuses(
                replace(SELL, **{**change, "messages_last_second": 10, "messages_last_minute": 100}), place
            )
            for change in beyond
        )
        assert held_up == (control.reductions is not Reductions.NO), control
