"""What every broker can be asked, and how it answers: one protocol, whatever is behind it.

An answer is either certain (`Accepted`, `Rejected`, an order, nothing of that id) or `Unknown`: a timeout, a broken
connection, a 5xx, "duplicate client order id". An adapter never guesses and never sends twice by itself. All numbers
are Decimal at this edge, all times aware; what a broker says that is no number, or not ours, raises `BadReport`.

Errors
    BrokerError            the family
    ├── NotConnected       this account cannot be used: no credentials, live not permitted, keys refused; nothing
    │                      was taken
    ├── NotCapable         this broker cannot do that (see `Capabilities`)
    ├── GateClosed         our own gate said no; nothing was sent
    ├── NotSent            there was no connection to send an order over: certainly no byte of it has left
    ├── AskFailed          a question was not answered: ask again later. `retry_after_seconds` where it said so
    └── BadReport          it said something that cannot be true; nothing of it may be used
        ├── UnreadableReport   the same of one order or fill in a list: the others are told all the same
        │   ├── ForeignReport  it is not ours
        │   └── OwnReport      it is ours
        └── UnreadableActivity money moved outside of orders, and we have no words for how
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce


class BrokerError(Exception):
    """Something about a broker went wrong."""


class NotConnected(BrokerError):
    """The account cannot be used, for the reason given."""


class NotCapable(BrokerError):
    """The broker does not do this."""


class GateClosed(BrokerError):
    """The last look before the first byte said no; nothing was sent."""


class NotSent(BrokerError):
    """The order was to be sent, and no byte of it has left: it waits, and nothing about it is unknown."""


class AskFailed(BrokerError):
    """A question was not answered."""

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class BadReport(BrokerError):
    """The broker said something that cannot be true. `payload` is what it said, without secrets."""

    def __init__(self, reason: str, *, payload: Any = None) -> None:
        super().__init__(reason)
        self.payload = payload


class UnreadableReport(BadReport):
    """An order, or a fill of one, of a form that we have no words for. `key` is the broker's id of it; `at`: when,
    where it says so."""

    def __init__(
        self, reason: str, *, payload: Any, key: str, is_fill: bool = False, at: datetime | None = None
    ) -> None:
        super().__init__(reason, payload=payload)
        self.key, self.is_fill, self.at = key, is_fill, at


class ForeignReport(UnreadableReport):
    """Certainly not ours: ordered by value, in several legs, in smaller parts than we count."""


class OwnReport(UnreadableReport):
    """Ours, by its client id: a status that is new, a number that is none."""

    def __init__(
        self, reason: str, *, payload: Any, key: str, client_order_id: str, is_fill: bool = False,
        at: datetime | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reason, payload=payload, key=key, is_fill=is_fill, at=at)
        self.client_order_id = client_order_id


_before: ContextVar[Callable[[], None] | None] = ContextVar("before each exchange", default=None)


@contextmanager
def before_each_exchange(do: Callable[[], None]) -> Iterator[None]:
    """Within, `do` is called before each exchange of a question with a broker: one question may take many, page by
    page, and who holds a lease meanwhile renews it. What it raises ends the question."""
    token = _before.set(do)
    try:
        yield
    finally:
        _before.reset(token)


def about_to_exchange() -> None:
    """An adapter calls it before each exchange of a question."""
    do = _before.get()
    if do is not None:
        do()


class UnreadableActivity(BadReport):
    """Money moved outside of orders in a way that nobody books by itself: of a kind that we do not know, or told in
    what cannot be. `key` is the broker's id of it; `amount`: what it added to the cash, where it says so."""

    def __init__(self, reason: str, *, payload: Any, key: str, amount: Decimal | None = None) -> None:
        super().__init__(reason, payload=payload)
        self.key, self.amount = key, amount


@dataclass(frozen=True)
class Capabilities:
    """What a broker does for us. An order that asks for more is refused before it is made."""

    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    fractional: bool
    """whether quantities need not be whole, but for `whole_only`"""
    replaces: bool
    streams: bool
    """whether it tells of executions by itself"""
    has_network: bool
    """whether an answer can be lost on the way; without, an order is never unknown"""
    activities: bool
    """whether it tells of the money that it charges and pays outside of orders"""
    whole_only: frozenset[OrderType | TimeInForce] = frozenset()
    """of whose orders only whole units are taken"""
    rejects_opposites: bool = False
    """whether it rejects an order beside an own one on the other side by their types, whatever their prices:
    `trading.core.opposites`"""


@dataclass(frozen=True)
class OrderTicket:
    """An order as it is sent. quantity in units, always positive; side is buy or sell."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    terms: OrderTerms


@dataclass(frozen=True)
class BrokerOrder:
    """An order as the broker sees it now.

    state: accepted, partially_filled, filled, cancelling, cancelled, rejected or expired.
    average_price: of what is filled; None when nothing is.
    """

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    state: OrderState
    average_price: Decimal | None = None
    reason: str = ""
    submitted_at: datetime | None = None
    changed_at: datetime | None = None
    """when it last became as it is (the broker's clock), where that is told"""


@dataclass(frozen=True)
class BrokerExecution:
    """One fill. execution_id: the same from whichever source it is told. price per unit, fee in currency."""

    execution_id: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    """the broker's time"""


class ActivityKind(StrEnum):
    FEE = "fee"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    TRANSFER = "transfer"  # of cash, into the account or out of it


@dataclass(frozen=True)
class CashActivity:
    """Money that the broker moved outside of orders. activity_id: the same whenever it is told.

    amount: what it added to the cash, below zero for what it took. currency: empty: the account's. day: the broker's.
    is_cancelled: it was told before, and moved nothing after all.
    """

    activity_id: str
    kind: ActivityKind
    amount: Decimal
    currency: str
    day: date
    detail: str
    symbol: str = ""
    is_cancelled: bool = False


@dataclass(frozen=True)
class BrokerPosition:
    symbol: str
    quantity: Decimal
    """below zero: short; as the broker tells it, which may be in more places than we count"""


@dataclass(frozen=True)
class BrokerAccountState:
    """account_number: the broker's own; `trading_objection`: why it takes no orders, empty when it does. accrued: what
    it has still to charge for the day, which its cash may be less already."""

    account_number: str
    currency: str
    cash: Decimal
    trading_objection: str = ""
    accrued: Decimal = Decimal(0)


@dataclass(frozen=True)
class Accepted:
    order: BrokerOrder


@dataclass(frozen=True)
class Rejected:
    """Certainly not at the broker. `code` is the broker's own, or its HTTP status."""

    reason: str
    code: str = ""


@dataclass(frozen=True)
class Unknown:
    """Nobody knows whether the broker has it. retry_after_seconds: not to be asked earlier, where it said so."""

    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True)
class CancelRequested:
    """It will be cancelled unless it is filled first; the outcome is told by the stream or by asking."""


@dataclass(frozen=True)
class CancelRefused:
    """It cannot be cancelled any more (filled, gone, or not known there): ask what it is."""

    reason: str


SubmitOutcome = Accepted | Rejected | Unknown
CancelOutcome = CancelRequested | CancelRefused | Unknown
Gate = Callable[[], None]
"""the last look before the first byte: raises GateClosed"""


@dataclass(frozen=True)
class StreamEvent:
    """What the stream told: an order as it is now, and the execution that made it so, if one did.

    received: the broker's words, without secrets, for the record.
    """

    order: BrokerOrder
    execution: BrokerExecution | None = None
    received: dict[str, Any] = field(default_factory=dict)


class ExecutionStream(Protocol):
    """A live connection. Iterating waits; `None` comes about once a second when nothing is told, so that its reader
    can look after its lease. Ends by raising AskFailed when the connection is lost; BadReport leaves it usable.
    """

    def __iter__(self) -> Iterator[StreamEvent | BadReport | None]: ...


class Broker(Protocol):
    """One account at one broker. Made by `trading.brokers.connections.broker_of`; not shared between threads."""

    capabilities: Capabilities

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        """Send once. `gate` is called with the connection open, immediately before the first byte of the order.

        Raises GateClosed, NotSent (no byte has left), NotConnected, NotCapable.
        """
        ...

    def cancel(self, order: BrokerOrder) -> CancelOutcome: ...

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: OrderTerms) -> SubmitOutcome:
        """Raises NotCapable where the broker does not."""
        ...

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """None: the broker has no order of this id, as far as it knows now. Raises AskFailed, BadReport."""
        ...

    def open_orders(self) -> Sequence[BrokerOrder | UnreadableReport]:
        """All of them, or AskFailed. One that cannot be read is there as the report of it, in each of these lists: it
        hides no other."""
        ...

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder | UnreadableReport]:
        """Every order submitted at or after `since` (broker's time), whatever became of it, or AskFailed."""
        ...

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution | UnreadableReport]:
        """Every fill at or after `since` (broker's time), oldest first, or AskFailed."""
        ...

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity | UnreadableActivity]:
        """All money that moved outside of orders on the broker's day of `since` or later, perhaps with some of the days
        before, or AskFailed. Raises NotCapable where the broker does not tell."""
        ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def account(self) -> BrokerAccountState: ...

    def stream(self) -> AbstractContextManager[ExecutionStream]:
        """Connect, log in and listen; entered, it misses nothing from then on. Raises AskFailed, NotConnected,
        NotCapable."""
        ...

    def close(self) -> None: ...
