"""An exit that says how many units it sells needs nobody's price but that of what it sells."""

from typing import Any

import pytest

from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, outcomes_of

pytestmark = pytest.mark.integration
LOSING = {"field": "position_pnl_percentage", "operator": "less_than", "value": -5}


def holding(market: Market, action: dict[str, Any]) -> Desk:
    """50 of AAA and 49 of BBB or so; AAA is sold so when it has lost more than 5 %."""
    market.tick()
    leave = {"name": "Leave", "rule_type": "exit", "conditions": [LOSING], "actions": [action]}
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, leave))
    market.advise("AAA")
    market.advise("BBB")
    desk.step()
    market.advice.clear()
    assert desk.held("AAA") == 50 and desk.held("BBB") > 0
    return desk


@pytest.mark.parametrize(
    ("size", "left"),
    [
        ({"sizing_method": "fixed", "size_value": 20, "size_unit": "shares"}, 30),
        ({"sizing_method": "fixed", "size_value": 900, "size_unit": "cash"}, 40),
        ({"sizing_method": "full_position"}, 0),
    ],
    ids=["shares", "cash", "all"],
)
def test_it_sells_while_the_price_of_something_else_is_unknown(
    market: Market, size: dict[str, Any], left: int
) -> None:
    desk = holding(market, {"type": "sell", **size})
    desk.step(AAA=90.0, BBB=float("nan"))
    assert outcomes_of(desk, "Leave") == [("AAA", "traded", 0)]
    assert desk.held("AAA") == left


def test_a_part_of_the_equity_stays_unknown(market: Market) -> None:
    part = {"type": "sell", "sizing_method": "percentage", "size_value": 1}
    desk = holding(market, part)
    desk.step(AAA=90.0, BBB=float("nan"))
    (told,) = decisions_of(desk, "Leave")
    assert (told.outcome, told.detail) == ("no_size", "the portfolio's equity is unknown")
    assert desk.held("AAA") == 50
