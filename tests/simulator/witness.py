"""What the simulator's log says, added up: the independent count of a fault test.

Read from the file alone, so it is true whatever became of the process.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class WitnessedFill:
    """execution_id: the stream's. cumulative: of the order, once this fill was done."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    cumulative: Decimal


@dataclass
class WitnessedOrder:
    """One order at the broker. accepted: how often it was taken, 1 unless the broker itself is broken.

    asked: how often a client posted this id. duplicates, refusals: how many of those were refused, and with what words.
    state: the last that became of it: accepted, filled, canceled, expired, rejected or replaced.
    """

    account: str
    client_order_id: str
    order_id: str = ""
    symbol: str = ""
    side: str = ""
    quantity: Decimal = Decimal(0)
    foreign: bool = False
    replaces: str | None = None
    asked: int = 0
    accepted: int = 0
    duplicates: int = 0
    refusals: list[str] = field(default_factory=list)
    cancels_asked: int = 0
    state: str = ""
    fills: list[WitnessedFill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def value(self) -> Decimal:
        """quantity times price of its fills."""
        return sum((fill.quantity * fill.price for fill in self.fills), Decimal(0))


@dataclass
class Witness:
    """orders: (account, client id) -> order, whatever was posted, taken or not. cash and positions: exact.

    mischief: name -> how often it was carried out. requests: endpoint -> how many came.
    """

    orders: dict[tuple[str, str], WitnessedOrder] = field(default_factory=dict)
    cash: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    mischief: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    mischief_by_order: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def order(self, client_order_id: str, *, account: str = "") -> WitnessedOrder:
        """The order of this id; KeyError when none was ever posted."""
        for (owner, name), order in self.orders.items():
            if name == client_order_id and account in ("", owner):
                return order
        raise KeyError(client_order_id)

    def taken(self, *, account: str = "", foreign: bool = False) -> list[WitnessedOrder]:
        """What the broker accepted: of clients, or of others."""
        return [
            order
            for (owner, _), order in self.orders.items()
            if order.accepted and order.foreign == foreign and account in ("", owner)
        ]

    def position(self, account: str, symbol: str) -> Decimal:
        return self.positions[account].get(symbol, Decimal(0))


def read_witness(path: Path) -> Witness:
    """The log, added up. A last line that was cut short is left out; any other is an error."""
    witness = Witness()
    lines = path.read_text(encoding="utf-8").split("\n")
    for line in lines[:-1]:
        event = json.loads(line)
        if add := _ADDERS.get(event["what"]):
            add(witness, event)
    return witness


def _order(witness: Witness, event: dict[str, Any]) -> WitnessedOrder:
    key = (event["account"], event["client_order_id"])
    return witness.orders.setdefault(key, WitnessedOrder(*key))


def _account(witness: Witness, event: dict[str, Any]) -> None:
    witness.cash[event["account"]] = Decimal(event["cash"])
    witness.positions[event["account"]] = defaultdict(Decimal)


def _request(witness: Witness, event: dict[str, Any]) -> None:
    witness.requests[event.get("endpoint", "refused")] += 1
    if event.get("endpoint") == "submit" and event["client_order_id"]:
        _order(witness, event).asked += 1


def _accepted(witness: Witness, event: dict[str, Any]) -> None:
    order = _order(witness, event)
    order.accepted += 1
    order.state = "accepted"
    for name in ("order_id", "symbol", "side", "foreign", "replaces"):
        setattr(order, name, event[name])
    order.quantity = Decimal(event["quantity"])


def _duplicate(witness: Witness, event: dict[str, Any]) -> None:
    _order(witness, event).duplicates += 1


def _refused(witness: Witness, event: dict[str, Any]) -> None:
    _order(witness, event).refusals.append(event["message"])


def _cancel_asked(witness: Witness, event: dict[str, Any]) -> None:
    _order(witness, event).cancels_asked += 1


def _fill(witness: Witness, event: dict[str, Any]) -> None:
    order = _order(witness, event)
    quantity, price = Decimal(event["quantity"]), Decimal(event["price"])
    order.fills.append(WitnessedFill(event["execution_id"], quantity, price, Decimal(event["cumulative"])))
    moved = quantity if event["side"] == "buy" else -quantity
    witness.positions[event["account"]][event["symbol"]] += moved
    witness.cash[event["account"]] -= moved * price
    if order.filled == order.quantity:
        order.state = "filled"


def _ended(witness: Witness, event: dict[str, Any]) -> None:
    _order(witness, event).state = event["what"]


def _foreign_cash(witness: Witness, event: dict[str, Any]) -> None:
    witness.cash[event["account"]] += Decimal(event["amount"])


def _activity(witness: Witness, event: dict[str, Any]) -> None:
    witness.cash[event["account"]] += Decimal(event["amount"])


def _foreign_position(witness: Witness, event: dict[str, Any]) -> None:
    witness.positions[event["account"]][event["symbol"]] += Decimal(event["quantity"])


def _mischief(witness: Witness, event: dict[str, Any]) -> None:
    witness.mischief[event["name"]] += 1
    if event.get("client_order_id"):
        witness.mischief_by_order[event["account"], event["client_order_id"]].append(event["name"])


_ADDERS = {
    "account": _account,
    "request": _request,
    "accepted": _accepted,
    "duplicate": _duplicate,
    "refused": _refused,
    "cancel_asked": _cancel_asked,
    "fill": _fill,
    "canceled": _ended,
    "expired": _ended,
    "rejected": _ended,
    "replaced": _ended,
    "foreign_cash": _foreign_cash,
    "activity": _activity,
    "foreign_position": _foreign_position,
    "mischief": _mischief,
}
