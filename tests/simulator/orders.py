"""An order, how Alpaca tells it, and what Alpaca refuses, in its own words and codes."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from random import Random
from typing import Any

from tests.simulator.clock import to_text

TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc")
OPEN_STATUSES = ("pending_new", "accepted", "new", "partially_filled", "pending_cancel", "pending_replace")
CLIENT_ID_LENGTH_MAX = 128
QUANTITY_PLACES = 9

WRONG_REQUEST = 40010001
NOT_AUTHORIZED = 40110000
NOT_ALLOWED = 40310000
NOT_FOUND = 40410000
NOT_PROCESSABLE = 42210000
TOO_MANY = 42910000


class Refused(Exception):
    """An answer that is no success: HTTP status and Alpaca's body."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message} | more


def plain(number: Decimal) -> str:
    """`12.5`, never `1.25E+1` or `12.500`."""
    return f"{number.normalize():f}" if number else "0"


def seeded_id(*parts: object) -> str:
    """A UUID that depends on nothing but these."""
    return str(uuid.UUID(int=Random("|".join(map(str, parts))).getrandbits(128), version=4))


@lru_cache(maxsize=10_000)
def asset_id(symbol: str) -> str:
    return seeded_id("asset", symbol)


@dataclass
class Execution:
    """One fill. position: the account's, after it. at: nanoseconds."""

    execution_id: str
    number: int
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    position: Decimal
    at: int


@dataclass
class Order:
    """Times in nanoseconds; prices None where the type has none."""

    id: str
    account: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    quantity: Decimal
    submitted_at: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_price: Decimal | None = None
    extended_hours: bool = False
    position_intent: str = ""
    foreign: bool = False
    replaces: str | None = None
    replaced_by: str | None = None
    status: str = "pending_new"
    filled: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    """price times quantity of all fills"""
    high_water: Decimal | None = None
    triggered: bool = False
    updated_at: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    """`filled_at`, `canceled_at`, `expired_at`, `failed_at`, `replaced_at` -> when"""
    executions: list[Execution] = field(default_factory=list)
    hidden_until: int = 0
    """nobody who asks finds it before this moment"""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1


def told(order: Order) -> dict[str, Any]:
    """The order as Alpaca's JSON, all numbers as text."""
    times = ("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at")
    average = order.spent / order.filled if order.filled else None
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": to_text(order.submitted_at),
        "updated_at": to_text(order.updated_at or order.submitted_at),
        "submitted_at": to_text(order.submitted_at),
        **{name: to_text(order.ended[name]) if name in order.ended else None for name in times},
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": plain(order.quantity),
        "filled_qty": plain(order.filled),
        "filled_avg_price": None if average is None else plain(round(average, 6)),
        "order_class": "",
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force,
        "limit_price": _price(order.limit_price),
        "stop_price": _price(order.stop_price),
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": None,
        "trail_percent": _price(order.trail_percent),
        "trail_price": _price(order.trail_price),
        "hwm": _price(order.high_water),
        "subtag": None,
        "source": None,
    }


def _price(price: Decimal | None) -> str | None:
    return None if price is None else plain(price)


# What each type needs and what it must not have.
_NEEDS = {
    "market": (),
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "stop_limit": ("limit_price", "stop_price"),
    "trailing_stop": (),
}
_NUMBERS = ("limit_price", "stop_price", "trail_percent", "trail_price")


def read_order(body: Any) -> dict[str, Any]:
    """What a request asks for: symbol, side, type, time_in_force, quantity, prices, client_order_id; or Refused."""
    if not isinstance(body, dict):
        raise Refused(400, WRONG_REQUEST, "request body format is invalid")
    symbol, side, kind = body.get("symbol"), body.get("side"), body.get("type", "market")
    if not isinstance(symbol, str) or not symbol:
        raise Refused(422, WRONG_REQUEST, "symbol is required")
    if side not in ("buy", "sell"):
        raise Refused(422, WRONG_REQUEST, "invalid side" if side else "side is required")
    if kind not in TYPES:
        raise Refused(422, WRONG_REQUEST, "invalid order type")
    if body.get("time_in_force") not in TIMES_IN_FORCE:
        raise Refused(422, WRONG_REQUEST, "invalid time_in_force")
    if body.get("order_class") not in (None, "", "simple"):
        raise Refused(422, WRONG_REQUEST, "invalid order_class")
    quantity = number(body, "qty")
    if quantity is None:
        raise Refused(422, WRONG_REQUEST, "qty or notional is required")
    prices = {name: number(body, name) for name in _NUMBERS}
    _check_quantity(quantity, body["time_in_force"])
    _check_prices(kind, prices)
    return {
        "symbol": symbol,
        "side": side,
        "type": kind,
        "time_in_force": body["time_in_force"],
        "quantity": quantity,
        "extended_hours": bool(body.get("extended_hours", False)),
        "client_order_id": client_id(body),
        **prices,
    }


def client_id(body: dict[str, Any]) -> str | None:
    """The client's id for the order, None when it left that to us."""
    wanted = body.get("client_order_id")
    if wanted is None or wanted == "":
        return None
    if not isinstance(wanted, str):
        raise Refused(422, WRONG_REQUEST, "client_order_id must be a string")
    if len(wanted) > CLIENT_ID_LENGTH_MAX:
        raise Refused(
            422, WRONG_REQUEST, f"client_order_id must be no more than {CLIENT_ID_LENGTH_MAX} characters"
        )
    return wanted


def number(body: dict[str, Any], name: str) -> Decimal | None:
    """A finite number above 0, given as text or as a number; None when absent; else Refused."""
    given = body.get(name)
    if given is None:
        return None
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        raise Refused(422, WRONG_REQUEST, f"{name} is not a number") from None
    if not value.is_finite() or value <= 0:
        raise Refused(422, WRONG_REQUEST, f"{name} must be > 0")
    return value


def _check_quantity(quantity: Decimal, time_in_force: str) -> None:
    if quantity != round(quantity, QUANTITY_PLACES):
        raise Refused(422, NOT_PROCESSABLE, f"qty increment must be >= 1e-{QUANTITY_PLACES}")
    if quantity % 1 and time_in_force != "day":
        raise Refused(422, NOT_PROCESSABLE, "fractional orders must be DAY orders")


def _check_prices(kind: str, prices: dict[str, Decimal | None]) -> None:
    for name in ("limit_price", "stop_price"):
        price = prices[name]
        words = f"{kind.replace('_', ' ')} orders"
        if name in _NEEDS[kind] and price is None:
            raise Refused(422, WRONG_REQUEST, f"{words} require {name.replace('_', ' ')}")
        if name not in _NEEDS[kind] and price is not None:
            raise Refused(422, WRONG_REQUEST, f"{words} require no {name.replace('_', ' ')}")
        if price is not None and price != round(price, 2 if price >= 1 else 4):
            raise Refused(
                422,
                NOT_PROCESSABLE,
                f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria",
            )
    trails = [name for name in ("trail_percent", "trail_price") if prices[name] is not None]
    if kind == "trailing_stop" and len(trails) != 1:
        raise Refused(
            422, WRONG_REQUEST, "trailing stop orders must specify one of trail_price or trail_percent"
        )
    if kind != "trailing_stop" and trails:
        raise Refused(422, WRONG_REQUEST, f"{trails[0]} is only for trailing stop orders")
