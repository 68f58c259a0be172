"""Rules that disagree on a portfolio: who trades, who does not, and what is told of it."""

from typing import Any

import pytest

from journal.models import Alert
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, outcomes_of
from trading.models import Decision, Halt, RuleAct
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
ENTRY, STOP = STRONG_BUY_ENTRY["name"], STOP_LOSS["name"]
ALERT = {"type": "alert", "message": "sold it"}
ALL = {"type": "sell", "sizing_method": "full_position"}


def losing(name: str, *actions: dict[str, Any], percent: float = -5, **more: Any) -> dict[str, Any]:
    condition = {"field": "position_pnl_percentage", "operator": "less_than", "value": percent}
    return {"name": name, "rule_type": "risk", "conditions": [condition], "actions": list(actions), **more}


def holding(market: Market, *rules: dict[str, Any]) -> Desk:
    """50 of AAA, bought at 100; the advice to buy stands until it is withdrawn."""
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, *rules))
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 50
    return desk


def alerts(desk: Desk) -> int:
    return Alert.objects.filter(stream=desk.portfolio.id, message__contains="sold it").count()


# --- a sell that comes to nothing -----------------------------------------------------------------------


def test_a_reduction_with_nothing_to_reduce_does_not_keep_the_stop_loss_from_selling(market: Market) -> None:
    desk = holding(market, losing("Trim", {"type": "reduce", "to_position_size": 90}), STOP_LOSS)
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 0
    assert outcomes_of(desk, "Trim") == [("AAA", "no_size", 0)]
    assert outcomes_of(desk, STOP) == [("AAA", "traded", 0)]


def test_a_resting_reduction_does_not_keep_the_stop_loss_from_selling(market: Market) -> None:
    half = {"type": "reduce", "percentage": 50}
    desk = holding(market, losing("Halve", half, percent=-2, cooldown={"minutes": 600}), STOP_LOSS)
    desk.step(AAA=97.0)
    assert desk.held("AAA") == 25
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 0
    assert [outcome for _, outcome, _ in outcomes_of(desk, "Halve")] == ["traded", "resting"]


def test_what_a_resting_rule_wants_sold_is_not_bought(market: Market) -> None:
    half = {"type": "reduce", "percentage": 50}
    halve = losing("Halve", half, cooldown={"minutes": 600})
    buying = {
        **STRONG_BUY_ENTRY,
        "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 5}],
    }
    market.tick()
    desk = Desk.open(market, rules=(buying, halve))
    market.advise("AAA")
    desk.step()
    desk.step(AAA=90.0)
    desk.step()
    assert desk.held("AAA") == 25
    told = decisions_of(desk, ENTRY)[-1]
    assert (told.outcome, told.detail, told.repeated) == ("outranked", "“Halve” won by rule_type", 1)


def test_the_loser_is_told_who_won(market: Market) -> None:
    desk = holding(market, losing("Leave", ALL), STOP_LOSS)
    desk.step(AAA=90.0)
    leave = desk.portfolio.trading_rules.get(name="Leave")
    told = decisions_of(desk, STOP)[-1]
    assert told.detail == "“Leave” won by rule_type"
    assert told.outranked_by == {
        "rule_id": str(leave.id), "rule_name": "Leave", "rule_version_id": str(leave.versions.get().pk),
        "version": 1, "reason": "rule_type", "side": "sell",
    }  # fmt: skip


# --- alerts of rules that trade --------------------------------------------------------------------------


def test_an_alert_of_a_rule_that_trades_is_given_when_it_traded(market: Market) -> None:
    """Selling half rests afterwards, and does not say again that it sold."""
    half = {"type": "reduce", "percentage": 50}
    desk = holding(market, losing("Halve", half, ALERT, cooldown={"minutes": 600}))
    market.is_open = False
    desk.step(AAA=90.0)
    assert alerts(desk) == 0
    market.is_open = True
    desk.step()
    assert alerts(desk) == 1
    for _ in range(3):
        desk.step()
    assert alerts(desk) == 1


def test_an_alert_of_a_rule_that_was_outranked_is_not_given(market: Market) -> None:
    desk = holding(market, losing("Leave", ALL), losing("Later", ALL, ALERT, priority=-1))
    desk.step(AAA=90.0)
    assert outcomes_of(desk, "Later") == [("AAA", "outranked", 0)]
    assert alerts(desk) == 0


def test_a_rule_for_the_portfolio_alerts_once_for_all_that_it_sold(market: Market) -> None:
    condition = {"field": "portfolio_equity", "operator": "less_than", "value": 99_900}
    leave = {"name": "Leave", "rule_type": "risk", "conditions": [condition], "actions": [ALERT, ALL]}
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, leave))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    desk.step(AAA=90.0, BBB=90.0)
    assert desk.held("AAA") == desk.held("BBB") == 0
    assert alerts(desk) == 1


# --- blocks and stops between two buys --------------------------------------------------------------------


def guard(field: str, operator: str, value: Any, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    conditions = [{"field": field, "operator": operator, "value": value}]
    return {"name": "Guard", "rule_type": "risk", "conditions": conditions, "actions": [action], **more}


BLOCK, HALT = {"type": "block_entries"}, {"type": "halt"}


def three_at_once(market: Market, *rules: dict[str, Any]) -> Desk:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, *rules))
    for symbol in ("AAA", "BBB", "CCC"):
        market.advise(symbol)
    market.tick()
    desk.evaluate()
    return desk


def bought(desk: Desk) -> set[str]:
    return {trade.symbol for trade in desk.trades() if trade.trade_type == "buy"}


def test_a_block_counts_what_the_same_evaluation_bought(market: Market) -> None:
    desk = three_at_once(market, guard("open_positions", "greater_or_equal", 1, BLOCK))
    assert bought(desk) == {"AAA"}
    assert outcomes_of(desk, ENTRY) == [
        ("AAA", "traded", 0),
        ("BBB", "outranked", 0),
        ("CCC", "outranked", 0),
    ]
    assert decisions_of(desk, ENTRY)[-1].detail == "“Guard” blocks entries"
    assert outcomes_of(desk, "Guard") == [(None, "blocking", 0)]


def test_a_block_counts_each_buy_of_the_same_evaluation(market: Market) -> None:
    desk = three_at_once(market, guard("open_positions", "greater_or_equal", 2, BLOCK))
    assert bought(desk) == {"AAA", "BBB"}


def test_a_block_of_a_symbol_counts_what_the_same_evaluation_bought(market: Market) -> None:
    many = {"field": "open_positions", "operator": "greater_or_equal", "value": 1}
    dear = guard("price", "greater_than", 105, BLOCK)
    dear["conditions"].append(many)
    market.prices["BBB"] = 110.0
    desk = three_at_once(market, dear)
    assert bought(desk) == {"AAA", "CCC"}
    assert outcomes_of(desk, "Guard") == [("BBB", "blocking", 0)]


def test_a_stop_counts_what_the_same_evaluation_bought(market: Market) -> None:
    desk = three_at_once(market, guard("open_positions", "greater_or_equal", 1, HALT))
    assert Halt.objects.filter(scope="portfolio", scope_id=str(desk.portfolio.id)).count() == 1
    assert outcomes_of(desk, "Guard") == [(None, "halted", 0)]
    assert [(row.outcome, row.code) for row in decisions_of(desk, ENTRY)] == [
        ("traded", ""),
        ("refused", "HALTED"),
        ("refused", "HALTED"),
    ]


def test_between_two_buys_a_guard_keeps_to_its_schedule(market: Market) -> None:
    many = guard("open_positions", "greater_or_equal", 1, BLOCK, schedule={"from": "20:00"})
    assert len(three_at_once(market, many).trades()) == 3


def test_between_two_buys_a_stop_keeps_to_its_rest(market: Market) -> None:
    market.tick()
    many = guard("open_positions", "greater_or_equal", 1, HALT, cooldown={"minutes": 60})
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, many))
    rule = desk.portfolio.trading_rules.get(name="Guard")
    RuleAct.objects.create(rule=rule, instrument=None, acted_at=market.as_of)
    for symbol in ("AAA", "BBB", "CCC"):
        market.advise(symbol)
    market.tick()
    desk.evaluate()
    assert len(desk.trades()) == 3 and not Halt.objects.exists()
    assert outcomes_of(desk, "Guard") == [(None, "resting", 0)]


def test_between_two_buys_a_stop_starts_a_rest(market: Market) -> None:
    three_at_once(market, guard("open_positions", "greater_or_equal", 1, HALT, cooldown={"minutes": 60}))
    assert RuleAct.objects.get().rule.name == "Guard"


def test_a_guard_of_another_portfolio_does_not_count(market: Market) -> None:
    market.tick()
    other = Desk.open(market, owner="dora", rules=(guard("open_positions", "greater_or_equal", 1, BLOCK),))
    desk = three_at_once(market)
    assert len(desk.trades()) == 3
    assert not Decision.objects.filter(portfolio=other.portfolio).exists()


def test_what_a_guard_wants_sold_waits_for_the_next_evaluation(market: Market) -> None:
    many = guard("open_positions", "greater_or_equal", 2, BLOCK)
    many["actions"].append(ALL)
    desk = holding(market, many)
    market.advise("BBB")
    market.advise("CCC")
    market.tick()
    desk.evaluate()
    assert bought(desk) == {"AAA", "BBB"}
    assert [trade.symbol for trade in desk.trades() if trade.trade_type == "sell"] == []
    execute_pending()
    market.tick()
    desk.evaluate()
    assert {trade.symbol for trade in desk.trades() if trade.trade_type == "sell"} == {"AAA", "BBB"}
