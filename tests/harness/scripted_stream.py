"""A broker that a test moves by hand, in this process or in another one by way of a file.

A `Venue` is the broker's own truth: orders, fills, holdings, and all that it has told. `VenueBroker` is one
connection to it, in the protocol's words; what the venue is told to get wrong, every connection does.
"""

import contextlib
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.harness.at_broker import order_of
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    BrokerAccountState,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    CashActivity,
    StreamEvent,
    UnreadableActivity,
    UnreadableReport,
)
from trading.core.order_states import FINAL, OrderState
from trading.core.orders import OrderType, TimeInForce
from trading.models import AutoTrade

D = Decimal
CASH = D(100_000)
CAPABLE = Capabilities(
    frozenset(OrderType), frozenset(TimeInForce), fractional=True, replaces=False, streams=True, has_network=True,
    activities=True,
)  # fmt: skip
Told = StreamEvent | BadReport


@dataclass
class Venue:
    """`wrong`: question -> errors that its next askings raise, in turn. `drops`: raised by ending it by one, each ends
    every open stream."""

    account_number: str = "PA1"
    currency: str = "USD"
    cash: Decimal = CASH
    held: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    executions: list[BrokerExecution] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    drops: int = 0
    wrong: dict[str, list[Exception]] = field(default_factory=dict)
    activities: list[CashActivity | UnreadableActivity] = field(default_factory=list)
    unreadable: list[UnreadableReport] = field(default_factory=list)
    """orders (that do not work any more) and fills, of a form that we have no words for"""

    def works(self, trade: AutoTrade) -> BrokerOrder:
        """It has the order by now."""
        return self.put(order_of(trade, submitted_at=datetime.now(UTC)))

    def put(self, order: BrokerOrder) -> BrokerOrder:
        self.orders[order.broker_order_id] = order
        return order

    def fills(
        self, order: BrokerOrder, quantity: int | Decimal, *, price: int | Decimal = 100, number: int = 1,
        tell: bool = True,
    ) -> StreamEvent:  # fmt: skip
        """So many units are executed at this price, for a fee of 0.25; told of or not."""
        order, quantity, price = self.orders[order.broker_order_id], D(quantity), D(price)
        filled = order.filled_quantity + quantity
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIALLY_FILLED
        order = self.put(replace(order, filled_quantity=filled, state=state, average_price=price))
        execution = BrokerExecution(
            f"e-{order.broker_order_id}-{number}", order.client_order_id, order.broker_order_id, order.symbol,
            order.side, quantity, price, D("0.25"), datetime.now(UTC),
        )  # fmt: skip
        self.executions.append(execution)
        sign = 1 if order.side == "buy" else -1
        self.held[order.symbol] = self.held.get(order.symbol, D(0)) + sign * quantity
        self.cash -= sign * quantity * price + execution.fee
        event = StreamEvent(order, execution, {"event": "fill"})
        if tell:
            self.told.append(event)
        return event

    def ends(self, order: BrokerOrder, state: OrderState, *, tell: bool = True) -> BrokerOrder:
        order = self.put(replace(self.orders[order.broker_order_id], state=state))
        if tell:
            self.told.append(StreamEvent(order, None, {"event": str(state)}))
        return order


def foreign(number: int = 1, **more: Any) -> BrokerOrder:
    """An order that somebody made at the broker's own page."""
    columns: dict[str, Any] = {
        "client_order_id": f"by-hand-{number}", "broker_order_id": f"b-foreign-{number}", "symbol": "BBB",
        "side": "buy", "quantity": D(5), "filled_quantity": D(0), "state": OrderState.ACCEPTED,
        "submitted_at": datetime.now(UTC),
    }  # fmt: skip
    return BrokerOrder(**columns | more)


class VenueBroker:
    """One connection. `hooks`: question -> what happens elsewhere just before it is answered."""

    capabilities = CAPABLE

    def __init__(
        self, venue: Callable[[], Venue], *, hooks: dict[str, Callable[[], None]] | None = None,
        silence_seconds: float = 0.05,
    ) -> None:  # fmt: skip
        self._venue, self.hooks, self._silence_seconds = (
            venue,
            hooks if hooks is not None else {},
            silence_seconds,
        )
        self.asked: list[str] = []

    def _asked(self, question: str) -> Venue:
        self.asked.append(question)
        self.hooks.get(question, lambda: None)()
        venue = self._venue()
        if venue.wrong.get(question):
            raise venue.wrong[question].pop(0)
        return venue

    def account(self) -> BrokerAccountState:
        venue = self._asked("account")
        return BrokerAccountState(venue.account_number, venue.currency, venue.cash)

    def positions(self) -> Sequence[BrokerPosition]:
        return [BrokerPosition(*row) for row in self._asked("positions").held.items() if row[1]]

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [order for order in self._asked("open_orders").orders.values() if order.state not in FINAL]

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder | UnreadableReport]:
        venue = self._asked("orders_since")
        orders = venue.orders.values()
        told = [order for order in orders if order.submitted_at is None or order.submitted_at >= since]
        return [*told, *(report for report in venue.unreadable if not report.is_fill)]

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution | UnreadableReport]:
        venue = self._asked("executions_since")
        fills = [one for one in venue.executions if one.at >= since]
        return [*fills, *(report for report in venue.unreadable if report.is_fill)]

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity | UnreadableActivity]:
        return list(self._asked("cash_activities_since").activities)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        orders = self._asked("order_by_client_id").orders.values()
        return next((order for order in orders if order.client_order_id == client_order_id), None)

    def submit(self, ticket: Any, *, gate: Any) -> Any:
        raise NotImplementedError

    def cancel(self, order: BrokerOrder) -> Any:
        raise NotImplementedError

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: Any) -> Any:
        raise NotImplementedError

    @contextlib.contextmanager
    def stream(self) -> Iterator[Iterator[Told | None]]:
        venue = self._asked("stream")
        yield self._follow(len(venue.told), venue.drops)

    def _follow(self, place: int, drops: int) -> Iterator[Told | None]:
        while True:
            quiet_until = time.monotonic() + self._silence_seconds
            venue = self._venue()
            while len(venue.told) == place and time.monotonic() < quiet_until and venue.drops == drops:
                time.sleep(0.01)
                venue = self._venue()
            if venue.drops != drops:
                raise AskFailed("the connection was lost")
            if len(venue.told) == place:
                yield None
            else:
                place += 1
                yield venue.told[place - 1]

    def close(self) -> None:
        self.asked.append("close")


def store(venue: Venue, path: Path) -> None:
    """For other processes: seen whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_bytes(pickle.dumps(venue))
    beside.replace(path)


def stored(path: Path) -> Venue:
    venue: Venue = pickle.loads(path.read_bytes())
    return venue
