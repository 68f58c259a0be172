"""How an answer is spoiled, when everything has been done as it was asked."""

import json
from collections.abc import Callable
from typing import Any

from tests.simulator.mischief import Rule
from tests.simulator.orders import WRONG_REQUEST
from tests.simulator.wire import Response, json_response

WRONG_SYMBOL = "WRONG"
_QUANTITIES = ("qty", "filled_qty", "cum_qty", "qty_available")
_PRICES = ("price", "filled_avg_price", "avg_entry_price", "cash", "net_amount")
GATEWAY_PAGE = b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body></body>\r\n</html>\r\n"


def spoil(rule: Rule, response: Response) -> Response:
    """The answer that goes out instead, for a rule of the phase ANSWER."""
    if rule.name in ("hang", "close", "dribble"):
        response.manner, response.seconds = rule.name, rule.seconds
        return response
    if rule.name == "lost_connection":
        response.manner = "close"
        return response
    if rule.name == "slow":
        response.wait += rule.seconds
        return response
    if rule.name == "error_after":
        return Response(rule.status or 504, GATEWAY_PAGE, {"Content-Type": "text/html"})
    if rule.name == "duplicate_answer":
        return json_response(422, {"code": WRONG_REQUEST, "message": "client_order_id must be unique"})
    if rule.name == "garbage":
        return Response(200, b'{"id": "b0b6\xff\x00', {"Content-Type": "application/json"})
    if response.status != 200:
        return response
    body = json.loads(response.body)
    if rule.name == "listed_twice":
        assert isinstance(body, list), "of lists only"
        response.body = json.dumps([item for item in body for _ in range(2)]).encode()
        return response
    items = body if isinstance(body, list) else [body]
    for item in items[:1] if rule.name == "new_status" else items:
        _SPOILERS[rule.name](item)
    response.body = json.dumps(body).encode()
    return response


def wrong_symbol(item: dict[str, Any]) -> None:
    if "symbol" in item:
        item["symbol"] = WRONG_SYMBOL


def not_a_number(item: dict[str, Any]) -> None:
    for name in (*_QUANTITIES, *_PRICES):
        if name in item:
            item[name] = "NaN"


def negative_quantity(item: dict[str, Any]) -> None:
    for name in _QUANTITIES:
        if item.get(name) not in (None, "0"):
            item[name] = f"-{item[name].lstrip('-')}"


def new_status(item: dict[str, Any]) -> None:
    if "status" in item:
        item["status"] = "pending_something"


_SPOILERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "wrong_symbol": wrong_symbol,
    "nan": not_a_number,
    "negative_quantity": negative_quantity,
    "new_status": new_status,
}
