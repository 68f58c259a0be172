"""A broker that does what the scene says: a double of the network and of what is behind it, and of nothing else.

`Venue` is the exchange: what has arrived there, whoever sent it. With a file it is shared between processes.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from foundation.kill_points import reach
from trading.brokers.protocol import (
    Accepted,
    AskFailed,
    BrokerAccountState,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    CancelOutcome,
    CancelRefused,
    CancelRequested,
    Capabilities,
    CashActivity,
    ExecutionStream,
    Gate,
    NotCapable,
    OrderTicket,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from trading.core.order_states import FINAL, OrderState
from trading.core.orders import OrderType, TimeInForce

D = Decimal
Hook = Callable[[], object]
# What becomes of a submit: taken and answered; taken, the answer lost; lost on its way; refused; or it raises.
ACCEPT, LOSE_ANSWER, LOSE_ORDER, REJECT = "accept", "lose answer", "lose order", "reject"
CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType), times_in_force=frozenset(TimeInForce), fractional=True, replaces=False,
    streams=False, has_network=True, activities=False,
)  # fmt: skip


@dataclass
class Venue:
    """submits, cancels, asks: in the order in which they arrived, by client order id. Scripts are worked off from the
    front; empty, everything goes well."""

    file: Path | None = None
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    executions: list[BrokerExecution] = field(default_factory=list)
    submits: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    on_submit: list[str | Exception] = field(default_factory=list)
    on_cancel: list[CancelOutcome | Exception] = field(default_factory=list)
    on_ask: list[BrokerOrder | Exception | None] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)  # before_gate, after_gate, taken, asked, cancelled
    closed: int = 0

    def run(self, name: str) -> None:
        hook = self.hooks.get(name)
        if hook is not None:
            hook()

    def take(self, ticket: OrderTicket) -> BrokerOrder:
        order = BrokerOrder(
            client_order_id=ticket.client_order_id, broker_order_id=f"b-{ticket.client_order_id}",
            symbol=ticket.symbol, side=ticket.side, quantity=ticket.quantity, filled_quantity=D(0),
            state=OrderState.ACCEPTED,
        )  # fmt: skip
        self.put(order)
        return order

    def put(self, order: BrokerOrder) -> None:
        self.read()
        self.orders[order.client_order_id] = order
        self.write()

    def fill(self, client_order_id: str, quantity: int, *, price: int = 100) -> BrokerExecution:
        """Executed there; nobody is told yet."""
        self.read()
        order = self.orders[client_order_id]
        filled = order.filled_quantity + D(quantity)
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIALLY_FILLED
        state = order.state if order.state in FINAL else state
        self.orders[client_order_id] = replace(
            order, filled_quantity=filled, state=state, average_price=D(price)
        )
        execution = BrokerExecution(
            execution_id=f"e-{len(self.executions)}", client_order_id=client_order_id,
            broker_order_id=order.broker_order_id, symbol=order.symbol, side=order.side, quantity=D(quantity),
            price=D(price), fee=D(0), at=datetime.fromisoformat("2010-03-01T15:00:00+00:00"),
        )  # fmt: skip
        self.executions.append(execution)
        self.write()
        return execution

    def end(self, client_order_id: str, state: OrderState) -> None:
        self.put(replace(self.orders[client_order_id], state=state))

    def read(self) -> None:
        """What other processes have left."""
        if self.file is None or not self.file.exists():
            return
        stored = json.loads(self.file.read_text())
        self.submits = stored["submits"]
        self.orders = {
            row["client_order_id"]: BrokerOrder(
                **row
                | {"quantity": D(row["quantity"]), "filled_quantity": D(row["filled_quantity"])}
                | {"state": OrderState(row["state"])}
            )
            for row in stored["orders"]
        }

    def write(self) -> None:
        if self.file is not None:
            rows = [asdict(order) for order in self.orders.values()]
            self.file.write_text(json.dumps({"submits": self.submits, "orders": rows}, default=str))


def _next(script: list[Any], otherwise: Any) -> Any:
    given = script.pop(0) if script else otherwise
    if isinstance(given, Exception):
        raise given
    return given


class ScriptedBroker:
    """Implements `trading.brokers.protocol.Broker`; reaches the kill points that an adapter reaches."""

    capabilities = CAPABILITIES

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        venue = self.venue
        reach("send.connected")
        venue.run("before_gate")
        gate()
        reach("send.gated")
        venue.run("after_gate")
        venue.read()
        venue.submits.append(ticket.client_order_id)
        venue.write()
        what = _next(venue.on_submit, ACCEPT)
        outcome = self._outcome(ticket, what)
        reach("send.sent")
        venue.run("taken")
        return outcome

    def _outcome(self, ticket: OrderTicket, what: str) -> SubmitOutcome:
        if what == REJECT:
            return Rejected("not enough buying power", code="403")
        if what == LOSE_ORDER:
            return Unknown("no answer within 3 seconds")
        if ticket.client_order_id in self.venue.orders:
            return Unknown("HTTP 422: client_order_id must be unique")
        order = self.venue.take(ticket)
        return Unknown("no answer within 3 seconds") if what == LOSE_ANSWER else Accepted(order)

    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        self.venue.cancels.append(order.client_order_id)
        self.venue.run("cancelled")
        there = self.venue.orders.get(order.client_order_id)
        if not self.venue.on_cancel and (there is None or there.state in FINAL):
            return CancelRefused("it cannot be cancelled")
        outcome: CancelOutcome = _next(self.venue.on_cancel, CancelRequested())
        return outcome

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: Any) -> SubmitOutcome:
        raise NotCapable("it does not replace")

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        self.venue.asks.append(client_order_id)
        self.venue.run("asked")
        self.venue.read()
        order: BrokerOrder | None = _next(self.venue.on_ask, self.venue.orders.get(client_order_id))
        return order

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [order for order in self.venue.orders.values() if order.state not in FINAL]

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder]:
        return list(self.venue.orders.values())

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        return list(self.venue.executions)

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity]:
        raise NotCapable("it does not tell")

    def positions(self) -> Sequence[BrokerPosition]:
        raise AskFailed("not in this scene")

    def account(self) -> BrokerAccountState:
        raise AskFailed("not in this scene")

    def stream(self) -> AbstractContextManager[ExecutionStream]:
        raise NotCapable("it does not stream")

    def close(self) -> None:
        self.venue.closed += 1


def brokers(venues: dict[Any, Venue]) -> Callable[[Any], ScriptedBroker]:
    """What stands in for `broker_of`: by account id."""
    return lambda account: ScriptedBroker(venues[account.id])
