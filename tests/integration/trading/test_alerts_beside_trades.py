"""A rule that trades and alerts tells of each evaluation in which it traded."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from journal.models import Alert
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import outcomes_of
from trading.services.manual import place_trade
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
ALERT = {"type": "alert", "message": "sold it", "severity": "critical"}
TEN = {"type": "sell", "sizing_method": "fixed", "size_value": 10, "size_unit": "shares"}
ALL = {"type": "sell", "sizing_method": "full_position"}


def selling(field: str, operator: str, value: float, *actions: dict[str, Any]) -> dict[str, Any]:
    condition = {"field": field, "operator": operator, "value": value}
    return {"name": "Leave", "rule_type": "risk", "conditions": [condition], "actions": list(actions)}


def alerts(desk: Desk) -> int:
    return Alert.objects.filter(stream=desk.portfolio.id, message__contains="sold it").count()


def test_each_of_several_trades_in_a_row_is_told(market: Market) -> None:
    market.tick()
    desk = Desk.open(
        market, rules=(STRONG_BUY_ENTRY, selling("position_pnl_percentage", "greater_than", 5, TEN, ALERT))
    )
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    for trades in (1, 2, 3):
        desk.step(AAA=110.0)
        assert desk.held("AAA") == 50 - 10 * trades
        assert alerts(desk) == trades
    assert Counter(outcomes_of(desk, "Leave")) == {("AAA", "traded", 0): 3, ("AAA", "alerted", 0): 3}
    desk.step(AAA=101.0)
    assert alerts(desk) == 3, "it did not trade"


def test_a_rule_for_the_portfolio_tells_of_the_second_symbol_too(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(selling("open_positions", "greater_or_equal", 1, ALERT, ALL),))
    for sold, symbol in enumerate(("AAA", "BBB"), start=1):
        place_trade(
            portfolio_id=desk.portfolio.id, symbol=symbol, side="buy", quantity=Decimal(5), actor=desk.owner
        )
        execute_pending()
        desk.step()
        assert desk.held(symbol) == 0
        assert alerts(desk) == sold
