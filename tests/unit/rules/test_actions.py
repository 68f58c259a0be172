"""What the actions of a triggered rule ask for."""

from decimal import Decimal

from rules.core.actions import ActionRequest, AlertRequest, asks_for_trade, requests_of

SELL = {"type": "sell", "sizing_method": "full_position"}
ALERT = {"type": "alert", "message": "Drawdown", "severity": "critical"}


def test_an_action_becomes_a_request_for_its_symbol():
    action = {"type": "buy", "sizing_method": "fixed", "size_value": 0.1, "size_unit": "cash"}
    assert requests_of([action], symbol="AAPL", held=["XOM"]) == [
        ActionRequest("AAPL", "buy", "fixed", Decimal("0.1"), "cash", None, "market")
    ]


def test_without_a_symbol_a_sell_means_every_held_symbol():
    assert requests_of([ALERT, SELL], symbol=None, held=["XOM", "AAPL"]) == [
        AlertRequest(None, "critical", "Drawdown"),
        ActionRequest("AAPL", "sell", "full_position", None, None, None, "market"),
        ActionRequest("XOM", "sell", "full_position", None, None, None, "market"),
    ]


def test_an_alert_without_a_severity_informs():
    assert requests_of([{"type": "alert", "message": "x"}], symbol="AAPL", held=[]) == [
        AlertRequest("AAPL", "info", "x")
    ]


def test_alerts_are_no_trades():
    assert asks_for_trade([ALERT, SELL])
    assert not asks_for_trade([ALERT])
