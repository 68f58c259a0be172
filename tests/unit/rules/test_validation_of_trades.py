"""A buy or a sell that makes no sense is refused, with its path, the reason and a cure."""

from decimal import Decimal

import pytest

from rules.core.validation import check_rule

BUY = {"type": "buy", "sizing_method": "percentage", "size_value": 5}
FIXED = {"type": "buy", "sizing_method": "fixed", "size_value": 10, "size_unit": "shares"}
KELLY = {"type": "buy", "sizing_method": "kelly", "size_value": 0.5, "max_position_size": 10}
VOLATILITY = {"type": "buy", "sizing_method": "volatility_target", "size_value": 2, "max_position_size": 10}
RISK = {"type": "buy", "sizing_method": "risk_per_trade", "size_value": 1, "stop_loss_percentage": 5}
LIMIT = {**BUY, "order_type": "limit", "limit_offset_bps": 5}
SELL = {"type": "sell", "sizing_method": "full_position"}
SELL_PART = {"type": "sell", "sizing_method": "percentage", "size_value": 5}


def without(action, key):
    return {name: value for name, value in action.items() if name != key}


def errors(actions, rule_type):
    rule = {
        "name": "Alice's rule",
        "rule_type": rule_type,
        "conditions": [{"field": "price", "operator": "greater_than", "value": 100}],
        "actions": actions,
    }
    return [(fault.path, fault.message, fault.suggestion or "") for fault in check_rule(rule).errors]


@pytest.mark.parametrize(
    "action",
    [
        BUY,
        {**BUY, "size_value": 100},
        {**BUY, "size_value": 0.01, "max_position_size": 100},
        {**BUY, "size_value": Decimal("2.50")},
        FIXED,
        {**FIXED, "size_value": 10**9},
        {**FIXED, "size_value": 0.5, "size_unit": "cash"},
        KELLY,
        {**KELLY, "size_value": 1},
        VOLATILITY,
        {**VOLATILITY, "size_value": 100},
        RISK,
        {**RISK, "size_value": 100, "max_position_size": 10},
        {**BUY, "order_type": "market"},
        LIMIT,
        {**LIMIT, "limit_offset_bps": 0},
        {**LIMIT, "limit_offset_bps": -1000},
        {**LIMIT, "limit_offset_bps": 1000},
        {**BUY, "stop_loss_percentage": 99.9, "take_profit_percentage": 1000},
        {**BUY, "stop_loss_percentage": 0.1},
        {**BUY, "trailing_stop_percentage": 0.1},
        {**BUY, "trailing_stop_percentage": 99.9},
    ],
)
def test_a_buy_that_makes_sense(action):
    assert errors([action], "entry") == []


@pytest.mark.parametrize(
    "action",
    [
        SELL,
        SELL_PART,
        {**FIXED, "type": "sell"},
        {**SELL, "order_type": "limit", "limit_offset_bps": -5},
    ],
)
def test_a_sell_that_makes_sense(action):
    assert errors([action], "exit") == []
    assert errors([action], "risk") == []


@pytest.mark.parametrize(
    ("action", "path", "reason", "cure"),
    [
        ({"type": "buy"}, "", '"sizing_method" is missing', 'Add "sizing_method"'),
        ({**BUY, "sizing_method": "percent"}, ".sizing_method", "not known", 'Did you mean "percentage"?'),
        ({**BUY, "sizing_method": None}, ".sizing_method", "null is not known", "kelly"),
        ({**BUY, "sizing_method": ["kelly"]}, ".sizing_method", "a list is not known", "kelly"),
        ({**BUY, "sizing_method": "full_position"}, ".sizing_method", "does not size a buy", "percentage"),
        ({**BUY, "size_vale": 5}, "", 'Unknown key "size_vale"', 'Did you mean "size_value"?'),
        ({**BUY, "message": "x"}, "", 'Unknown key "message"', "size_value"),
        (without(BUY, "size_value"), "", '"percentage" needs "size_value"', 'Add "size_value"'),
        ({**BUY, "size_value": 0}, ".size_value", "0 percent of equity", "above 0 up to 100"),
        ({**BUY, "size_value": -5}, ".size_value", "-5 percent of equity", "Did you mean 5?"),
        ({**BUY, "size_value": 100.0000001}, ".size_value", "100.0000001 percent", "above 0 up to 100"),
        ({**BUY, "size_value": "5"}, ".size_value", "not a number", "Did you mean 5?"),
        ({**BUY, "size_value": "5%"}, ".size_value", "not a number", "Did you mean 5?"),
        ({**BUY, "size_value": True}, ".size_value", "true is not a number", "Write a number"),
        ({**BUY, "size_value": None}, ".size_value", "null is not a number", "Write a number"),
        ({**BUY, "size_value": float("nan")}, ".size_value", "finite", "finite"),
        ({**BUY, "size_value": Decimal("1e400")}, ".size_value", "10^15", "nearer to 0"),
        ({**BUY, "size_value": 10**400}, ".size_value", "beyond 10^15", "nearer to 0"),
        ({**BUY, "size_unit": "cash"}, ".size_unit", '"percentage" has no "size_unit"', "Remove"),
        # fixed
        (without(FIXED, "size_value"), "", '"fixed" needs "size_value"', "Add"),
        (without(FIXED, "size_unit"), "", '"fixed" needs "size_unit"', '"shares" or "cash"'),
        ({**FIXED, "size_unit": "lots"}, ".size_unit", "not known", "cash, shares"),
        ({**FIXED, "size_value": 0}, ".size_value", "0 shares or cash", "above 0 up to 1000000000"),
        ({**FIXED, "size_value": 10**9 + 1}, ".size_value", "not possible", "above 0 up to 1000000000"),
        # kelly: a fraction of the full bet, capped
        ({**KELLY, "size_value": 25}, ".size_value", "25 of full Kelly", "Did you mean 0.25?"),
        ({**KELLY, "size_value": 0}, ".size_value", "0 of full Kelly", "above 0 up to 1"),
        ({**KELLY, "size_unit": "cash"}, ".size_unit", '"kelly" has no', "Remove"),
        (without(KELLY, "max_position_size"), "", '"kelly" needs "max_position_size"', "Add"),
        # volatility_target: capped too
        ({**VOLATILITY, "size_value": 101}, ".size_value", "101 percent", "up to 100"),
        ({**VOLATILITY, "size_unit": "shares"}, ".size_unit", "has no", "Remove"),
        (without(VOLATILITY, "max_position_size"), "", 'needs "max_position_size"', "Add"),
        # risk_per_trade: what is lost when the stop is hit
        ({**RISK, "size_value": 0}, ".size_value", "0 percent", "above 0 up to 100"),
        ({**RISK, "size_unit": "cash"}, ".size_unit", "has no", "Remove"),
        (without(RISK, "stop_loss_percentage"), "", 'needs "stop_loss_percentage"', "Add"),
        # bounds and exits of a buy
        ({**BUY, "max_position_size": 0}, ".max_position_size", "0 percent of equity", "above 0 up to 100"),
        ({**BUY, "max_position_size": 150}, ".max_position_size", "150 percent", "above 0 up to 100"),
        ({**BUY, "max_position_size": None}, ".max_position_size", "null", "Write a number"),
        ({**BUY, "stop_loss_percentage": 0}, ".stop_loss_percentage", "below the entry", "above 0 and below 100"),
        ({**BUY, "stop_loss_percentage": 100}, ".stop_loss_percentage", "100 percent", "above 0 and below 100"),
        ({**BUY, "stop_loss_percentage": -5}, ".stop_loss_percentage", "-5 percent", "Did you mean 5?"),
        ({**BUY, "trailing_stop_percentage": 0}, ".trailing_stop_percentage", "below the highest", "above 0 and below"),
        ({**BUY, "trailing_stop_percentage": 100}, ".trailing_stop_percentage", "100 percent", "above 0 and below 100"),
        ({**BUY, "trailing_stop_percentage": -5}, ".trailing_stop_percentage", "-5 percent", "Did you mean 5?"),
        ({**BUY, "take_profit_percentage": 0}, ".take_profit_percentage", "above the entry", "above 0 up to 1000"),
        ({**BUY, "take_profit_percentage": 1001}, ".take_profit_percentage", "1001", "above 0 up to 1000"),
        # orders
        ({**BUY, "order_type": "markt"}, ".order_type", "not known", 'Did you mean "market"?'),
        ({**BUY, "order_type": "stop"}, ".order_type", "not known", "limit, market"),
        ({**BUY, "order_type": "limit"}, "", 'needs "limit_offset_bps"', "0 is the last price"),
        ({**BUY, "limit_offset_bps": 5}, ".limit_offset_bps", '"market" order has no', '"limit"'),
        ({**LIMIT, "order_type": "market"}, ".limit_offset_bps", '"market" order has no', "Remove"),
        ({**LIMIT, "limit_offset_bps": 1000.5}, ".limit_offset_bps", "1000.5 basis", "from -1000 up to 1000"),
        ({**LIMIT, "limit_offset_bps": -1001}, ".limit_offset_bps", "-1001 basis", "from -1000 up to 1000"),
        ({**LIMIT, "limit_offset_bps": "5"}, ".limit_offset_bps", "not a number", "Did you mean 5?"),
    ],
)  # fmt: skip
def test_a_buy_that_makes_no_sense(action, path, reason, cure):
    [(found_path, message, suggestion)] = errors([action], "entry")
    assert found_path == f"actions[0]{path}"
    assert reason in message
    assert cure in suggestion


@pytest.mark.parametrize(
    ("action", "path", "reason", "cure"),
    [
        ({**SELL, "size_value": 5}, ".size_value", "sells all there is", "Remove"),
        ({**SELL, "size_unit": "shares"}, ".size_unit", "sells all there is", "Remove"),
        ({**SELL, "sizing_method": "kelly"}, ".sizing_method", '"kelly" does not size a sell', "full_position"),
        ({**SELL, "sizing_method": "volatility_target"}, ".sizing_method", "does not size a sell", "fixed"),
        ({**SELL, "sizing_method": "risk_per_trade"}, ".sizing_method", "does not size a sell", "fixed"),
        ({**SELL_PART, "max_position_size": 5}, ".max_position_size", "A sell has no", "Remove"),
        ({**SELL, "stop_loss_percentage": 5}, ".stop_loss_percentage", "A sell has no", "Remove"),
        ({**SELL, "trailing_stop_percentage": 5}, ".trailing_stop_percentage", "A sell has no", "Remove"),
        ({**SELL, "take_profit_percentage": 5}, ".take_profit_percentage", "A sell has no", "Remove"),
        ({**SELL, "order_type": "limit"}, "", 'needs "limit_offset_bps"', "Add"),
    ],
)  # fmt: skip
def test_a_sell_has_its_own_words(action, path, reason, cure):
    [(found_path, message, suggestion)] = errors([action], "exit")
    assert found_path == f"actions[0]{path}"
    assert reason in message
    assert cure in suggestion
