"""The smallest broker that keeps the contract, in memory: it shows that the contract can be kept, and its broken
children show that each behaviour can fail."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from tests.contract.subject import START_PRICE, Subject
from trading.brokers.protocol import (
    Accepted,
    ActivityKind,
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
    StreamEvent,
    SubmitOutcome,
    Unknown,
)
from trading.core.order_states import WORKING, OrderState
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce


@dataclass
class _Market:
    price: Decimal = START_PRICE
    cash: Decimal = Decimal(100_000)
    held: Decimal = Decimal(0)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    tickets: dict[str, OrderTicket] = field(default_factory=dict)
    executions: list[BrokerExecution] = field(default_factory=list)
    activities: list[CashActivity] = field(default_factory=list)
    told: list[StreamEvent] = field(default_factory=list)


class ReferenceBroker:
    """Market, limit and stop orders of AAPL, whole shares, filled at once where they can be."""

    capabilities = Capabilities(
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP}),
        times_in_force=frozenset(TimeInForce),
        fractional=False,
        replaces=True,
        streams=True,
        has_network=False,
        activities=True,
    )

    def __init__(self) -> None:
        self.market = _Market()
        self._numbers = itertools.count(1)

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        known = self.capabilities
        if ticket.terms.order_type not in known.order_types or ticket.quantity % 1:
            raise NotCapable("no such order here")
        gate()
        if ticket.client_order_id in self.market.orders:
            return Accepted(self.market.orders[ticket.client_order_id])
        if ticket.quantity * self.market.price > self.market.cash:
            return Rejected("not enough cash")
        order = BrokerOrder(
            client_order_id=ticket.client_order_id,
            broker_order_id=f"order-{next(self._numbers)}",
            symbol=ticket.symbol,
            side=ticket.side,
            quantity=ticket.quantity,
            filled_quantity=Decimal(0),
            state=OrderState.ACCEPTED,
            submitted_at=datetime.now(UTC),
        )
        self.market.tickets[order.client_order_id] = ticket
        self._now(order)
        self.match()
        return Accepted(self.market.orders[order.client_order_id])

    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        known = self.market.orders.get(order.client_order_id)
        if known is None or known.state not in WORKING:
            return CancelRefused("it does not work")
        self._now(replace(known, state=OrderState.CANCELLED))
        return CancelRequested()

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: OrderTerms) -> SubmitOutcome:
        ticket = self.market.tickets[order.client_order_id]
        self.market.tickets[order.client_order_id] = replace(ticket, quantity=quantity, terms=terms)
        self._now(replace(order, quantity=quantity))
        return Accepted(self.market.orders[order.client_order_id])

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        return self.market.orders.get(client_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [order for order in self.market.orders.values() if order.state in WORKING]

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder]:
        return [
            order
            for order in self.market.orders.values()
            if order.submitted_at is not None and order.submitted_at >= since
        ]

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        return [execution for execution in self.market.executions if execution.at >= since]

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity]:
        return [one for one in self.market.activities if one.day >= since.date()]

    def positions(self) -> Sequence[BrokerPosition]:
        return [BrokerPosition(Subject.symbol, self.market.held)] if self.market.held else []

    def account(self) -> BrokerAccountState:
        return BrokerAccountState("REFERENCE", "USD", self.market.cash)

    def stream(self) -> AbstractContextManager[ExecutionStream]:
        return self._listening()

    def close(self) -> None:
        """Nothing is open."""

    def charge(self, amount: Decimal) -> None:
        """A fee that is of no order."""
        self.market.cash -= amount
        name = f"activity-{next(self._numbers)}"
        self.market.activities.append(
            CashActivity(name, ActivityKind.FEE, -amount, "USD", date.today(), "a fee")  # noqa: DTZ011
        )

    def match(self) -> None:
        """Fill what can be filled at the price now."""
        for order in self.open_orders():
            if self._reached(self.market.tickets[order.client_order_id]):
                self._fill(order)

    def _reached(self, ticket: OrderTicket) -> bool:
        buys, price = ticket.side == "buy", self.market.price
        limit, stop = ticket.terms.limit_price, ticket.terms.stop_price
        if limit is not None:
            return price <= limit if buys else price >= limit
        if stop is not None:
            return price >= stop if buys else price <= stop
        return True

    def _fill(self, order: BrokerOrder) -> None:
        sign = 1 if order.side == "buy" else -1
        execution = BrokerExecution(
            execution_id=f"execution-{next(self._numbers)}",
            client_order_id=order.client_order_id,
            broker_order_id=order.broker_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=self.market.price,
            fee=Decimal(0),
            at=datetime.now(UTC),
        )
        self.market.executions.append(execution)
        self.market.cash -= sign * order.quantity * self.market.price
        self.market.held += sign * order.quantity
        whole = replace(
            order,
            state=OrderState.FILLED,
            filled_quantity=order.quantity,
            average_price=self.market.price,
        )
        self._now(whole, execution)

    def _now(self, order: BrokerOrder, execution: BrokerExecution | None = None) -> None:
        self.market.orders[order.client_order_id] = order
        self.market.told.append(StreamEvent(order, execution))

    @contextmanager
    def _listening(self) -> Iterator[ExecutionStream]:
        yield _Stream(self.market.told, len(self.market.told))


class _Stream:
    def __init__(self, told: list[StreamEvent], start: int) -> None:
        self._told = told
        self._next = start

    def __iter__(self) -> Iterator[StreamEvent | None]:
        while True:
            if self._next == len(self._told):
                yield None
            else:
                self._next += 1
                yield self._told[self._next - 1]


class ReferenceSubject(Subject):
    """`broker` may be a broken child, to see it caught."""

    def __init__(self, broker: ReferenceBroker | None = None) -> None:
        self.reference = broker or ReferenceBroker()
        self.broker = self.reference

    def ticket(
        self,
        client_order_id: str,
        *,
        side: str = "buy",
        quantity: Decimal = Decimal(10),
        terms: OrderTerms = MARKET_DAY,
    ) -> OrderTicket:
        return OrderTicket(client_order_id, self.symbol, side, quantity, terms)

    def impossible_ticket(self, client_order_id: str) -> OrderTicket:
        return self.ticket(client_order_id, quantity=Decimal(100_000))

    def move_price(self, price: Decimal) -> None:
        self.reference.market.price = price
        self.reference.match()

    def settle(self) -> None:
        self.reference.match()

    def charge(self, amount: Decimal) -> None:
        self.reference.charge(amount)


# Broken on purpose, each in one way.


class SendsThroughAClosedGate(ReferenceBroker):
    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        outcome = super().submit(ticket, gate=lambda: None)
        gate()
        return outcome


class ForgetsTheGate(ReferenceBroker):
    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        return super().submit(ticket, gate=lambda: None)


class TakesAnIdTwice(ReferenceBroker):
    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        self.market.orders.pop(ticket.client_order_id, None)
        return super().submit(ticket, gate=gate)


class CallsADuplicateRejected(ReferenceBroker):
    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        if ticket.client_order_id in self.market.orders:
            return Rejected("client id is not unique")
        return super().submit(ticket, gate=gate)


class CancelsWhatIsFilled(ReferenceBroker):
    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        super().cancel(order)
        return CancelRequested()


class TellsFillsTwice(ReferenceBroker):
    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        return [execution for execution in super().executions_since(since) for _ in range(2)]


class NamesFillsAnewForTheStream(ReferenceBroker):
    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        return [replace(x, execution_id=f"rest-{x.execution_id}") for x in super().executions_since(since)]


class ForgetsWhatIsOver(ReferenceBroker):
    def orders_since(self, since: datetime) -> Sequence[BrokerOrder]:
        return self.open_orders()


class NamesItsFeesAnew(ReferenceBroker):
    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity]:
        told = super().cash_activities_since(since)
        return [replace(one, activity_id=f"told-{next(self._numbers)}") for one in told]


class TellsFeesAsPaid(ReferenceBroker):
    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity]:
        return [replace(one, amount=-one.amount) for one in super().cash_activities_since(since)]


class ListsAllAsOpen(ReferenceBroker):
    def open_orders(self) -> Sequence[BrokerOrder]:
        return list(self.market.orders.values())


class LosesCash(ReferenceBroker):
    def account(self) -> BrokerAccountState:
        return replace(super().account(), cash=self.market.cash - len(self.market.executions))


class HoldsTooMuch(ReferenceBroker):
    def positions(self) -> Sequence[BrokerPosition]:
        return [replace(position, quantity=position.quantity + 1) for position in super().positions()]


class InventsOrders(ReferenceBroker):
    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        found = super().order_by_client_id(client_order_id)
        return found or next(iter(self.market.orders.values()), None)


class DeclaresWhatItCannot(ReferenceBroker):
    capabilities = replace(ReferenceBroker.capabilities, order_types=frozenset(OrderType))

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        if ticket.terms.order_type == OrderType.TRAILING_STOP:
            return Rejected("no such type")
        return super().submit(ticket, gate=gate)


class TakesWhatItDoesNotDeclare(ReferenceBroker):
    capabilities = replace(
        ReferenceBroker.capabilities, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT})
    )

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        return super().submit(replace(ticket, quantity=ticket.quantity // 1), gate=gate)


class KeepsSilent(ReferenceBroker):
    def _now(self, order: BrokerOrder, execution: BrokerExecution | None = None) -> None:
        super()._now(order, execution)
        self.market.told = [event for event in self.market.told if event.execution is None]


class FillsBeforeTheLimit(ReferenceBroker):
    def _reached(self, ticket: OrderTicket) -> bool:
        return True


class CancelsNothing(ReferenceBroker):
    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        outcome = super().cancel(order)
        if isinstance(outcome, CancelRequested):
            self.market.orders[order.client_order_id] = order
        return outcome


class ReplacesNothing(ReferenceBroker):
    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: OrderTerms) -> SubmitOutcome:
        return Accepted(order)


class AcceptsAnything(ReferenceBroker):
    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        cash, self.market.cash = self.market.cash, Decimal(10) ** 12
        try:
            return super().submit(ticket, gate=gate)
        finally:
            self.market.cash -= Decimal(10) ** 12 - cash


class ListsNewestFirst(ReferenceBroker):
    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        return list(reversed(super().executions_since(since)))


class TellsNoAccount(ReferenceBroker):
    def account(self) -> BrokerAccountState:
        return replace(super().account(), currency="")


class LosesItsAnswers(ReferenceBroker):
    """It has no network, so it may not."""

    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        outcome = super().cancel(order)
        return Unknown("lost") if self.market.executions else outcome


# Behaviour -> the brokers that break it, and must be caught by it.
BROKEN: dict[str, list[type[ReferenceBroker]]] = {
    "what_is_submitted_is_accepted_and_found": [FillsBeforeTheLimit],
    "the_gate_is_asked_once_and_before_the_order_is_there": [ForgetsTheGate],
    "nothing_is_sent_through_a_closed_gate": [SendsThroughAClosedGate, ForgetsTheGate],
    "the_same_client_id_never_makes_two_orders": [TakesAnIdTwice, CallsADuplicateRejected],
    "what_cannot_be_is_rejected_and_not_there": [AcceptsAnything],
    "a_working_order_is_cancelled_in_the_end": [CancelsNothing],
    "a_filled_order_is_not_cancelled": [CancelsWhatIsFilled],
    "what_is_not_there_is_not_cancelled": [CancelsWhatIsFilled],
    "an_unknown_id_is_nothing": [InventsOrders],
    "executions_are_unique_and_sum_to_what_is_filled": [TellsFillsTwice],
    "executions_come_oldest_first_and_only_those_asked_for": [ListsNewestFirst],
    "cash_and_positions_are_what_was_there_and_all_fills": [LosesCash, HoldsTooMuch],
    "what_it_charges_outside_of_orders_is_told_once_and_in_the_cash": [NamesItsFeesAnew, TellsFeesAsPaid],
    "the_account_says_who_it_is": [TellsNoAccount],
    "open_orders_are_those_that_work": [ListsAllAsOpen],
    "orders_since_are_all_whatever_became_of_them": [ForgetsWhatIsOver],
    "a_resting_order_is_filled_when_its_price_comes": [FillsBeforeTheLimit],
    "each_type_and_time_that_is_declared_is_taken": [DeclaresWhatItCannot],
    "what_is_not_declared_is_refused_before_it_is_sent": [TakesWhatItDoesNotDeclare],
    "an_order_is_replaced_where_that_is_declared": [ReplacesNothing],
    "the_stream_tells_what_the_lists_tell": [KeepsSilent, NamesFillsAnewForTheStream],
    "without_a_network_nothing_is_unknown": [LosesItsAnswers],
}
