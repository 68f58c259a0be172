"""What the language knows and this version does not carry out is named with path and cure: nothing at present, so
the word is planted."""

from typing import Any

import pytest

from rules.core.actions import METHODS_OF
from rules.core.validation import check_rule
from trading.core.sizing import METHODS
from trading.core.support import unsupported

BUY = {"type": "buy", "sizing_method": "percentage", "size_value": 5}
SELL = {"type": "sell", "sizing_method": "full_position"}
ALERT = {"type": "alert", "message": "look"}


def rule(rule_type: str, *actions: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 10}]
    cooldown = {"minutes": 60}
    return {
        "name": "x", "rule_type": rule_type, "conditions": conditions, "actions": list(actions),
        "cooldown": cooldown,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule_type", "actions"),
    [
        ("entry", [BUY, ALERT]),
        ("entry", [{**BUY, "order_type": "market", "max_position_size": 10}]),
        ("entry", [{**BUY, "sizing_method": "fixed", "size_unit": "cash"}]),
        ("entry", [{**BUY, "sizing_method": "kelly", "size_value": 0.5, "max_position_size": 10}]),
        ("entry", [{**BUY, "sizing_method": "volatility_target", "max_position_size": 10}]),
        ("entry", [{**BUY, "stop_loss_percentage": 5, "take_profit_percentage": 9}]),
        ("entry", [{**BUY, "trailing_stop_percentage": 5}]),
        ("entry", [{**BUY, "order_type": "limit", "limit_offset_bps": 10}]),
        ("exit", [{**SELL, "order_type": "limit", "limit_offset_bps": -10}]),
        ("exit", [SELL]),
        ("risk", [SELL, {"type": "block_entries"}, {"type": "halt"}, ALERT]),
        ("risk", [{"type": "reduce", "percentage": 50}]),
        ("risk", [{"type": "reduce", "to_position_size": 5}]),
    ],
)
def test_what_is_carried_out(rule_type: str, actions: list[dict[str, Any]]) -> None:
    assert check_rule(rule(rule_type, *actions)).errors == ()
    assert unsupported(actions) == []


@pytest.mark.usefixtures("without_limit_orders")
@pytest.mark.parametrize(
    ("changes", "path", "named", "cure"),
    [
        ({"order_type": "limit", "limit_offset_bps": 10}, "order_type", "Limit orders", '"market"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_says_where_and_what_to_do(
    changes: dict[str, Any], path: str, named: str, cure: str
) -> None:
    action = {**BUY, "max_position_size": 10, **changes}
    assert check_rule(rule("entry", ALERT, action)).errors == (), "the language knows it"
    (fault,) = unsupported([ALERT, action])
    assert fault.path == f"actions[1].{path}"
    assert named in fault.message and "not carried out in this version" in fault.message
    assert fault.suggestion is not None
    assert cure in fault.suggestion and "store the rule inactive" in fault.suggestion


@pytest.mark.usefixtures("without_limit_orders")
def test_each_word_is_named() -> None:
    action = {
        **BUY,
        "sizing_method": "risk_per_trade",
        "stop_loss_percentage": 5,
        "order_type": "limit",
        "limit_offset_bps": 10,
    }
    assert check_rule(rule("entry", action)).errors == ()
    assert {fault.path for fault in unsupported([action])} == {
        "actions[0].order_type",
    }


def test_every_method_of_the_language_is_sized() -> None:
    known = {method for methods in METHODS_OF.values() for method in methods}
    assert known | {"reduce"} == set(METHODS)
    assert not any(unsupported([{"type": "buy", "sizing_method": method}]) for method in known)
