"""What the actions of a triggered rule ask for."""

from decimal import Decimal

import pytest

from rules.core.actions import (
    ActionRequest,
    AlertRequest,
    BlockRequest,
    HaltRequest,
    asks_for_trade,
    requests_of,
)

SELL = {"type": "sell", "sizing_method": "full_position"}
REDUCE = {"type": "reduce", "to_position_size": 8}
ALERT = {"type": "alert", "message": "Drawdown", "severity": "critical"}
BLOCK = {"type": "block_entries"}
HALT = {"type": "halt"}


def test_an_action_becomes_a_request_for_its_symbol():
    action = {"type": "buy", "sizing_method": "fixed", "size_value": 0.1, "size_unit": "cash"}
    assert requests_of([action], symbol="AAPL", held=["XOM"]) == [
        ActionRequest("AAPL", "buy", "fixed", Decimal("0.1"), "cash", None, "market")
    ]


def test_a_buy_carries_its_limit_and_its_exits_to_the_last_digit():
    action = {
        "type": "buy",
        "sizing_method": "risk_per_trade",
        "size_value": 0.7,
        "max_position_size": 10,
        "order_type": "limit",
        "limit_offset_bps": -2.3,
        "stop_loss_percentage": 5.1,
        "take_profit_percentage": 12,
        "trailing_stop_percentage": 3.3,
    }
    assert requests_of([action], symbol="AAPL", held=[]) == [
        ActionRequest(
            symbol="AAPL",
            side="buy",
            sizing_method="risk_per_trade",
            size_value=Decimal("0.7"),
            size_unit=None,
            max_position_size=Decimal(10),
            order_type="limit",
            limit_offset_bps=Decimal("-2.3"),
            stop_loss_percentage=Decimal("5.1"),
            take_profit_percentage=Decimal(12),
            trailing_stop_percentage=Decimal("3.3"),
        )
    ]


def test_without_a_symbol_a_sell_means_every_held_symbol():
    assert requests_of([ALERT, SELL], symbol=None, held=["XOM", "AAPL"]) == [
        AlertRequest(None, "critical", "Drawdown"),
        ActionRequest("AAPL", "sell", "full_position", None, None, None, "market"),
        ActionRequest("XOM", "sell", "full_position", None, None, None, "market"),
    ]


@pytest.mark.parametrize(
    ("key", "unit"),
    [("percentage", "percentage_of_position"), ("to_position_size", "percentage_of_equity")],
)
def test_a_reduction_is_a_sell(key, unit):
    reduce = {"type": "reduce", key: 12.5}
    assert requests_of([reduce], symbol="AAPL", held=["XOM"]) == [
        ActionRequest("AAPL", "sell", "reduce", Decimal("12.5"), unit, None, "market")
    ]
    assert [request.symbol for request in requests_of([reduce], symbol=None, held=["XOM", "AAPL"])] == [
        "AAPL",
        "XOM",
    ]


def test_an_alert_without_a_severity_informs():
    assert requests_of([{"type": "alert", "message": "x"}], symbol="AAPL", held=[]) == [
        AlertRequest("AAPL", "info", "x")
    ]


@pytest.mark.parametrize("symbol", ["AAPL", None])
def test_entries_are_blocked_for_what_the_rule_fired_for(symbol):
    assert requests_of([BLOCK], symbol=symbol, held=["XOM", "AAPL"]) == [BlockRequest(symbol)]


def test_a_halt_spares_exits_unless_it_says_otherwise():
    assert requests_of([HALT], symbol=None, held=["XOM", "AAPL"]) == [HaltRequest("reduce_only")]
    everything = {"type": "halt", "mode": "halt"}
    assert requests_of([everything], symbol="AAPL", held=[]) == [HaltRequest("halt")]


def test_requests_stand_in_the_order_of_the_actions():
    requests = requests_of([HALT, ALERT, REDUCE, BLOCK], symbol="AAPL", held=[])
    assert [type(request) for request in requests] == [HaltRequest, AlertRequest, ActionRequest, BlockRequest]


@pytest.mark.parametrize(
    ("actions", "trades"),
    [
        ([ALERT, SELL], True),
        ([REDUCE], True),
        ([{"type": "buy"}], True),
        ([ALERT, BLOCK, HALT], False),
        ([], False),
    ],
)
def test_which_actions_are_trades(actions, trades):
    assert asks_for_trade(actions) is trades
