"""What risk rules do beyond selling: block entries, and reduce what has grown too large."""

from decimal import Decimal
from typing import Any

import pytest

from rules.models import RuleVersion
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, outcomes_of, step_later
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
BLOCK = [{"type": "block_entries"}]


def risk_rule(name: str, field: str, operator: str, value: Any, actions: list[Any], **more: Any) -> Any:
    conditions = [{"field": field, "operator": operator, "value": value}]
    return {"name": name, "rule_type": "risk", "conditions": conditions, "actions": actions, **more}


ALWAYS_BLOCK = risk_rule("Guard", "portfolio_cash_percentage", "greater_or_equal", 0, BLOCK)
NAME = STRONG_BUY_ENTRY["name"]


def test_a_block_of_the_portfolio_stops_every_buy_and_says_so(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, ALWAYS_BLOCK))
    market.advise("AAA")
    market.advise("BBB")
    desk.step()
    assert desk.trades() == []
    assert outcomes_of(desk, NAME) == [("AAA", "outranked", 0), ("BBB", "outranked", 0)]
    guard = RuleVersion.objects.get(rule__name="Guard")
    for told in decisions_of(desk, NAME):
        assert told.outranked_by == {
            "rule_id": str(guard.rule_id), "rule_name": "Guard", "rule_version_id": str(guard.pk), "version": 1,
            "reason": "blocked",
        }  # fmt: skip
        assert told.detail == "“Guard” blocks entries"
    (blocking,) = decisions_of(desk, "Guard")
    assert (blocking.outcome, blocking.instrument) == ("blocking", None)
    assert "no rule buys anything" in blocking.detail and "portfolio cash percentage" in blocking.detail


def test_what_is_blocked_again_raises_counters(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, ALWAYS_BLOCK))
    market.advise("AAA")
    for _ in range(3):
        desk.step()
    assert outcomes_of(desk, NAME) == [("AAA", "outranked", 2)]
    assert outcomes_of(desk, "Guard") == [(None, "blocking", 2)]


def test_a_block_of_a_symbol_stops_that_symbol_only(market: Market) -> None:
    market.tick()
    too_dear = risk_rule("Too dear", "price", "greater_than", 105, BLOCK)
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, too_dear))
    market.advise("AAA")
    market.advise("BBB")
    desk.step(AAA=106.0)
    assert desk.held("AAA") == 0, "it need not be held: the rule keeps positions from being opened"
    assert desk.held("BBB") == 50
    assert outcomes_of(desk, "Too dear") == [("AAA", "blocking", 0)]


def test_a_block_stops_no_sell(market: Market) -> None:
    market.tick()
    deep = risk_rule("Guard", "portfolio_cash_percentage", "less_than", 99, BLOCK)
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, STOP_LOSS, deep))
    market.advise("AAA")
    desk.step()
    desk.step(AAA=90.0)
    assert [trade.trade_type for trade in desk.trades()] == ["buy", "sell"]
    assert desk.held("AAA") == 0
    assert (None, "blocking", 0) in outcomes_of(desk, "Guard")


def test_a_block_is_over_when_its_rule_is_no_longer_true(market: Market) -> None:
    market.tick()
    losing = risk_rule("Guard", "portfolio_equity", "less_than", 99_900, BLOCK)
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, losing))
    market.advise("AAA")
    desk.step()
    market.advise("BBB")
    desk.step(AAA=90.0)
    assert desk.held("BBB") == 0
    desk.step(AAA=110.0)
    assert desk.held("BBB") == 50


def test_a_block_holds_for_its_portfolio_only(market: Market) -> None:
    market.tick()
    guarded = Desk.open(market, owner="alice", rules=(STRONG_BUY_ENTRY, ALWAYS_BLOCK))
    free = Desk.open(market, owner="dora")
    market.advise("AAA")
    guarded.step()
    assert guarded.trades() == []
    assert [trade.status for trade in free.trades()] == ["filled"]


# --- reduce ------------------------------------------------------------------------------------------


def holding(market: Market, *rules: Any) -> Desk:
    """50 of AAA, bought at 100 on advice that is withdrawn afterwards."""
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, *rules))
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    assert desk.held("AAA") == 50
    return desk


def test_a_position_that_grew_is_reduced_to_its_size_once(market: Market) -> None:
    down_to_five = [{"type": "reduce", "to_position_size": 5}]
    trim = risk_rule("Trim", "position_weight_percentage", "greater_than", 5, down_to_five)
    desk = holding(market, trim)
    market.closes["AAA"] = 200.0
    for _ in range(3):
        desk.step(AAA=200.0)
    # Worth 10,000 of 104,9xx; 5,24x are to stay: 26.2 of it, so 23 are sold.
    assert desk.held("AAA") == 27
    traded, *later = decisions_of(desk, "Trim")
    assert traded.outcome == "traded" and traded.sizing["method"] == "reduce"
    assert Decimal(traded.sizing["target_value"]) == Decimal(traded.sizing["equity"]) / 20
    assert [row.outcome for row in later] == ["no_size"] and "less than one lot" in later[0].detail
    assert book_differences() == []


def test_a_position_comes_down_to_a_part_of_all_equity_whatever_the_session_may_invest(
    market: Market,
) -> None:
    """Its buys are measured by the session's part; what it may have invested says nothing of a position's size."""
    down_to_four = [{"type": "reduce", "to_position_size": 4}]
    trim = risk_rule("Trim", "position_weight_percentage", "greater_than", 4, down_to_four)
    market.tick()
    half = {"capital_cap": {"percentage": 50}}
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, trim), config=half)
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    assert desk.held("AAA") == 25, "5 percent of one half"
    market.closes["AAA"] = 200.0
    for _ in range(3):
        desk.step(AAA=200.0)
    # Worth 5,000 of 102,4xx; 4,09x are to stay: 20.5 of it, so 4 are sold.
    assert desk.held("AAA") == 21
    (traded, *_) = decisions_of(desk, "Trim")
    assert Decimal(traded.sizing["equity"]) > 102_000
    assert book_differences() == []


def test_a_reduction_on_its_way_is_not_ordered_again(market: Market) -> None:
    down_to_five = [{"type": "reduce", "to_position_size": 5}]
    desk = holding(market, risk_rule("Trim", "position_weight_percentage", "greater_than", 5, down_to_five))
    market.closes["AAA"] = 200.0
    for _ in range(3):  # nobody executes
        market.tick(AAA=200.0)
        desk.evaluate()
    assert [trade.quantity for trade in desk.trades() if trade.trade_type == "sell"] == [23]


def test_a_part_is_sold_after_each_rest(market: Market) -> None:
    half = [{"type": "reduce", "percentage": 50}]
    cooldown = {"minutes": 60}
    losing = risk_rule("Halve", "position_pnl_percentage", "less_than", -5, half, cooldown=cooldown)
    desk = holding(market, losing)
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 25
    desk.step()
    step_later(desk, minutes=58)
    assert desk.held("AAA") == 25
    assert outcomes_of(desk, "Halve") == [("AAA", "traded", 0), ("AAA", "resting", 1)]
    step_later(desk, minutes=1)
    assert desk.held("AAA") == 13  # 12.5 rounds down to whole shares
    assert book_differences() == []


def test_a_rule_for_the_portfolio_reduces_every_position(market: Market) -> None:
    down_to_two = [{"type": "reduce", "to_position_size": 2}]
    losing = risk_rule("Shrink", "portfolio_equity", "less_than", 99_000, down_to_two)
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, losing))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    market.advice.clear()
    desk.step(AAA=80.0, BBB=80.0)
    assert desk.held("AAA") == desk.held("BBB") == 25  # 2 % of 97,9xx is 24.5 of it: 25 are sold, 25 stay


def test_a_rule_for_the_portfolio_with_nothing_to_sell_leaves_its_record(market: Market) -> None:
    market.tick()
    down_to_two = [{"type": "reduce", "to_position_size": 2}]
    desk = Desk.open(
        market, rules=(risk_rule("Shrink", "portfolio_cash_percentage", "greater_than", 50, down_to_two),)
    )
    desk.step()
    assert outcomes_of(desk, "Shrink") == [(None, "no_size", 0)]
