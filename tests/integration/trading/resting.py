"""Rules that rest after they acted, and a portfolio that holds something for them."""

from typing import Any

from journal.models import Alert
from tests.harness.trading import Desk, Market

TEN_SHARES = {"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 10}
STRONG_BUY = {"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"}
LOSING = {"field": "position_pnl_percentage", "operator": "less_than", "value": -5}


def buying(minutes: int = 30, **cooldown: Any) -> dict[str, Any]:
    return {
        "name": "Buy ten", "rule_type": "entry", "conditions": [STRONG_BUY], "actions": [TEN_SHARES],
        "cooldown": {"minutes": minutes, **cooldown},
    }  # fmt: skip


def alerting(*others: dict[str, Any], rule_type: str = "exit", **more: Any) -> dict[str, Any]:
    alert = {"type": "alert", "message": "it is losing", "severity": "warning"}
    return {
        "name": "Tell", "rule_type": rule_type, "conditions": [LOSING], "actions": [alert, *others],
        "cooldown": {"minutes": 60}, **more,
    }  # fmt: skip


def holding(market: Market, *rules: dict[str, Any]) -> Desk:
    """10 of AAA, bought at 100."""
    market.tick()
    desk = Desk.open(market, rules=({**buying(), "cooldown": {"minutes": 500_000}}, *rules))
    market.advise("AAA")
    desk.step()
    return desk


def alerts(desk: Desk) -> int:
    return Alert.objects.filter(stream=desk.portfolio.id, message__contains="it is losing").count()
