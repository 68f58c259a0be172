"""What every broker of `trading.brokers.protocol` must do, whatever is behind it. One function a behaviour."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.subject import FAR_BELOW, START_PRICE, Subject
from trading.brokers.protocol import (
    Accepted,
    ActivityKind,
    BrokerExecution,
    BrokerOrder,
    CancelRefused,
    CancelRequested,
    CashActivity,
    GateClosed,
    NotCapable,
    Rejected,
    StreamEvent,
    Unknown,
)
from trading.core.order_states import FINAL, WORKING, OrderState
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce

Behaviour = Callable[[Subject], None]
BEHAVIOURS: list[Behaviour] = []
CLOCK_MARGIN = timedelta(seconds=5)  # between this machine's clock and a broker's


def behaviour(function: Behaviour) -> Behaviour:
    BEHAVIOURS.append(function)
    return function


def is_open() -> None:
    """A gate that lets through."""


def is_shut() -> None:
    raise GateClosed("halted")


def ages_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def taken(subject: Subject, client_order_id: str, **ticket: Any) -> BrokerOrder:
    outcome = subject.broker.submit(subject.ticket(client_order_id, **ticket), gate=is_open)
    assert isinstance(outcome, Accepted), outcome
    return outcome.order


def filled(subject: Subject, client_order_id: str, **ticket: Any) -> BrokerOrder:
    taken(subject, client_order_id, **ticket)
    order = subject.final(client_order_id)
    assert order.state == OrderState.FILLED, order
    return order


def executions(subject: Subject, client_order_id: str = "") -> list[BrokerExecution]:
    return [
        execution
        for execution in subject.broker.executions_since(ages_ago())
        if client_order_id in ("", execution.client_order_id)
    ]


def ids(orders: Sequence[BrokerOrder]) -> list[str]:
    return sorted(order.client_order_id for order in orders)


@behaviour
def what_is_submitted_is_accepted_and_found(subject: Subject) -> None:
    ticket = subject.ticket("one", terms=FAR_BELOW)
    outcome = subject.broker.submit(ticket, gate=is_open)
    assert isinstance(outcome, Accepted), outcome
    for order in (outcome.order, subject.order("one")):
        assert order.broker_order_id == outcome.order.broker_order_id != ""
        assert (order.client_order_id, order.symbol, order.side) == ("one", subject.symbol, "buy")
        assert (order.quantity, order.filled_quantity, order.average_price) == (10, 0, None)
        assert order.state in WORKING
        assert isinstance(order.quantity, Decimal)
    submitted_at = subject.order("one").submitted_at
    assert submitted_at is not None and submitted_at.tzinfo is not None


@behaviour
def the_gate_is_asked_once_and_before_the_order_is_there(subject: Subject) -> None:
    asked = []
    outcome = subject.broker.submit(subject.ticket("one", terms=FAR_BELOW), gate=lambda: asked.append(1))
    assert isinstance(outcome, Accepted)
    assert asked == [1]


@behaviour
def nothing_is_sent_through_a_closed_gate(subject: Subject) -> None:
    ticket = subject.ticket("one", terms=FAR_BELOW)
    with pytest.raises(GateClosed):
        subject.broker.submit(ticket, gate=is_shut)
    assert subject.broker.order_by_client_id("one") is None
    assert subject.broker.orders_since(ages_ago()) == []
    assert isinstance(subject.broker.submit(ticket, gate=is_open), Accepted), "and it can be sent later"


@behaviour
def the_same_client_id_never_makes_two_orders(subject: Subject) -> None:
    ticket = subject.ticket("one")
    first = subject.broker.submit(ticket, gate=is_open)
    assert isinstance(first, Accepted)
    subject.final("one")
    again = subject.broker.submit(ticket, gate=is_open)
    # Rejected would say that it is certainly not at the broker.
    assert isinstance(again, Accepted | Unknown), again
    if isinstance(again, Accepted):
        assert again.order.broker_order_id == first.order.broker_order_id
    assert ids(subject.broker.orders_since(ages_ago())) == ["one"]
    assert sum(execution.quantity for execution in executions(subject)) == 10
    assert [position.quantity for position in subject.broker.positions()] == [10]


@behaviour
def what_cannot_be_is_rejected_and_not_there(subject: Subject) -> None:
    outcome = subject.broker.submit(subject.impossible_ticket("one"), gate=is_open)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason
    assert subject.broker.order_by_client_id("one") is None
    assert subject.broker.open_orders() == []


@behaviour
def a_working_order_is_cancelled_in_the_end(subject: Subject) -> None:
    order = taken(subject, "one", terms=FAR_BELOW)
    assert isinstance(subject.broker.cancel(order), CancelRequested)
    assert subject.final("one").state == OrderState.CANCELLED
    assert subject.broker.open_orders() == []
    assert executions(subject) == []


@behaviour
def a_filled_order_is_not_cancelled(subject: Subject) -> None:
    order = filled(subject, "one")
    outcome = subject.broker.cancel(order)
    assert isinstance(outcome, CancelRefused), outcome
    assert outcome.reason
    assert subject.order("one").state == OrderState.FILLED


@behaviour
def what_is_not_there_is_not_cancelled(subject: Subject) -> None:
    order = taken(subject, "one", terms=FAR_BELOW)
    stranger = replace(
        order, client_order_id="nobody", broker_order_id="00000000-0000-4000-8000-000000000000"
    )
    assert isinstance(subject.broker.cancel(stranger), CancelRefused)
    assert subject.order("one").state in WORKING


@behaviour
def an_unknown_id_is_nothing(subject: Subject) -> None:
    assert subject.broker.order_by_client_id("nobody") is None
    taken(subject, "one", terms=FAR_BELOW)
    assert subject.broker.order_by_client_id("nobody") is None


@behaviour
def executions_are_unique_and_sum_to_what_is_filled(subject: Subject) -> None:
    for number in range(3):
        filled(subject, f"buy-{number}", quantity=Decimal(7 + number))
    filled(subject, "sell", side="sell", quantity=Decimal(5))
    told = executions(subject)
    assert len({execution.execution_id for execution in told}) == len(told)
    for order in subject.broker.orders_since(ages_ago()):
        of_it = [execution for execution in told if execution.client_order_id == order.client_order_id]
        assert sum(execution.quantity for execution in of_it) == order.filled_quantity == order.quantity
        assert {(x.broker_order_id, x.symbol, x.side) for x in of_it} == {
            (order.broker_order_id, order.symbol, order.side)
        }
        value = sum((execution.quantity * execution.price for execution in of_it), Decimal(0))
        assert order.average_price is not None
        assert abs(order.average_price - value / order.quantity) < Decimal("0.00001")
    assert all(execution.at.tzinfo is not None and execution.fee >= 0 for execution in told)


@behaviour
def executions_come_oldest_first_and_only_those_asked_for(subject: Subject) -> None:
    filled(subject, "old")
    old = executions(subject)[-1]
    filled(subject, "new")
    told = executions(subject)
    assert [execution.at for execution in told] == sorted(execution.at for execution in told)
    later = subject.broker.executions_since(old.at + timedelta(microseconds=1))
    assert {execution.client_order_id for execution in later} == {"new"}
    assert subject.broker.executions_since(datetime.now(UTC) + timedelta(minutes=5)) == []


@behaviour
def cash_and_positions_are_what_was_there_and_all_fills(subject: Subject) -> None:
    before = subject.broker.account().cash
    assert subject.broker.positions() == []
    filled(subject, "buy", quantity=Decimal(12))
    subject.move_price(Decimal(110))
    filled(subject, "sell", side="sell", quantity=Decimal(5))
    moved, cash = Decimal(0), before
    for execution in executions(subject):
        sign = 1 if execution.side == "buy" else -1
        moved += sign * execution.quantity
        cash -= sign * execution.quantity * execution.price + execution.fee
    assert moved == 7
    assert [(item.symbol, item.quantity) for item in subject.broker.positions()] == [(subject.symbol, moved)]
    assert abs(subject.broker.account().cash - cash) < Decimal("0.01"), "it may be told in cents"
    filled(subject, "rest", side="sell", quantity=Decimal(7))
    assert subject.broker.positions() == [], "what was sold wholly is held no more"


@behaviour
def what_it_charges_outside_of_orders_is_told_once_and_in_the_cash(subject: Subject) -> None:
    if not subject.broker.capabilities.activities:
        with pytest.raises(NotCapable):
            subject.broker.cash_activities_since(ages_ago())
        return
    filled(subject, "buy")
    before = subject.broker.account().cash
    assert subject.broker.cash_activities_since(ages_ago()) == [], "a fill is none of them"
    for amount in ("0.35", "0.35", "1.20"):
        subject.charge(Decimal(amount))
    told = subject.broker.cash_activities_since(ages_ago())
    assert [(one.kind, one.amount) for one in told if isinstance(one, CashActivity)] == [
        (ActivityKind.FEE, Decimal(amount)) for amount in ("-0.35", "-0.35", "-1.20")
    ]
    assert len({one.activity_id for one in told if isinstance(one, CashActivity)}) == 3
    assert subject.broker.cash_activities_since(ages_ago()) == told
    assert subject.broker.account().cash == before - Decimal("1.90")
    assert subject.broker.cash_activities_since(datetime.now(UTC) + timedelta(days=9)) == []


@behaviour
def the_account_says_who_it_is(subject: Subject) -> None:
    account = subject.broker.account()
    assert len(account.currency) == 3
    assert account.trading_objection == ""
    assert account.cash >= 50_000


@behaviour
def open_orders_are_those_that_work(subject: Subject) -> None:
    for name in ("a", "b", "c"):
        taken(subject, name, terms=FAR_BELOW, quantity=Decimal(1))
    filled(subject, "d")
    subject.broker.cancel(subject.order("b"))
    subject.final("b")
    assert ids(subject.broker.open_orders()) == ["a", "c"]
    assert all(order.state in WORKING for order in subject.broker.open_orders())


@behaviour
def orders_since_are_all_whatever_became_of_them(subject: Subject) -> None:
    names = [f"order-{number:02d}" for number in range(12)]
    for name in names:
        taken(subject, name, terms=FAR_BELOW, quantity=Decimal(1))
    filled(subject, "filled")
    subject.broker.cancel(subject.order(names[0]))
    subject.final(names[0])
    orders = subject.broker.orders_since(ages_ago())
    assert ids(orders) == ["filled", *names]
    middle = subject.order(names[6]).submitted_at
    assert middle is not None
    assert ids(subject.broker.orders_since(middle)) == ["filled", *names[6:]], "submitted then, or later"
    assert subject.broker.orders_since(datetime.now(UTC) + timedelta(minutes=5)) == []


@behaviour
def a_resting_order_is_filled_when_its_price_comes(subject: Subject) -> None:
    taken(subject, "one", terms=FAR_BELOW)
    subject.settle()
    assert subject.order("one").state in WORKING
    subject.move_price(Decimal(49))
    order = subject.final("one")
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, 10)
    assert order.average_price is not None and order.average_price <= 50


@behaviour
def each_type_and_time_that_is_declared_is_taken(subject: Subject) -> None:
    filled(subject, "stock", quantity=Decimal(100))
    for order_type in sorted(subject.broker.capabilities.order_types):
        for time_in_force in sorted(subject.broker.capabilities.times_in_force):
            name = f"{order_type}-{time_in_force}"
            order = taken(
                subject, name, side="sell", quantity=Decimal(1), terms=terms_of(order_type, time_in_force)
            )
            assert order.state in WORKING | {OrderState.FILLED}
            assert subject.order(name).quantity == 1


def terms_of(order_type: OrderType, time_in_force: TimeInForce) -> OrderTerms:
    """Of a sale that rests, unless it is a market order."""
    far_above, far_below = START_PRICE * 2, START_PRICE / 2
    return OrderTerms(
        order_type,
        time_in_force,
        limit_price=far_above
        if order_type == OrderType.LIMIT
        else far_below
        if order_type == OrderType.STOP_LIMIT
        else None,
        stop_price=far_below if order_type in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        trail_percentage=Decimal(20) if order_type == OrderType.TRAILING_STOP else None,
    )


@behaviour
def what_is_not_declared_is_refused_before_it_is_sent(subject: Subject) -> None:
    capabilities = subject.broker.capabilities
    undeclared = [terms_of(kind, TimeInForce.DAY) for kind in set(OrderType) - capabilities.order_types]
    undeclared += [
        replace(MARKET_DAY, time_in_force=time) for time in set(TimeInForce) - capabilities.times_in_force
    ]
    for number, terms in enumerate(undeclared):
        with pytest.raises(NotCapable):
            subject.broker.submit(subject.ticket(f"not-{number}", terms=terms), gate=is_open)
        assert subject.broker.order_by_client_id(f"not-{number}") is None
    part = subject.ticket("part", quantity=Decimal("0.5"))
    if capabilities.fractional:
        assert isinstance(subject.broker.submit(part, gate=is_open), Accepted)
    else:
        with pytest.raises(NotCapable):
            subject.broker.submit(part, gate=is_open)


@behaviour
def an_order_is_replaced_where_that_is_declared(subject: Subject) -> None:
    order = taken(subject, "one", terms=FAR_BELOW)
    subject.settle()
    terms = replace(FAR_BELOW, limit_price=Decimal(51))
    if not subject.broker.capabilities.replaces:
        with pytest.raises(NotCapable):
            subject.broker.replace(order, quantity=Decimal(4), terms=terms)
        assert subject.order("one").state in WORKING
        return
    outcome = subject.broker.replace(subject.order("one"), quantity=Decimal(4), terms=terms)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.order.quantity == 4
    if outcome.order.client_order_id != "one":
        assert subject.final("one").state == OrderState.CANCELLED
    assert ids(subject.broker.open_orders()) == [outcome.order.client_order_id]


@behaviour
def the_stream_tells_what_the_lists_tell(subject: Subject) -> None:
    if not subject.broker.capabilities.streams:
        with pytest.raises(NotCapable), subject.broker.stream():
            pass
        return
    with subject.broker.stream() as stream:
        taken(subject, "resting", terms=FAR_BELOW)
        filled(subject, "buy")
        subject.broker.cancel(subject.order("resting"))
        subject.final("resting")
        last = hear_until_all_ended(stream, {"resting", "buy"})
    for name in ("resting", "buy"):
        told = last[name][-1].order
        now = subject.order(name)
        assert (told.state, told.filled_quantity, told.average_price) == (
            now.state,
            now.filled_quantity,
            now.average_price,
        )
    heard = [event.execution for events in last.values() for event in events if event.execution]
    listed = executions(subject)
    assert sorted(x.execution_id for x in heard) == sorted(x.execution_id for x in listed)
    for execution in heard:
        (same,) = [other for other in listed if other.execution_id == execution.execution_id]
        assert (same.quantity, same.price, same.side, same.client_order_id) == (
            execution.quantity,
            execution.price,
            execution.side,
            execution.client_order_id,
        )


def hear_until_all_ended(stream: Any, names: set[str]) -> dict[str, list[StreamEvent]]:
    """All events of these orders until each has ended; a bad report fails the test, and so does long silence."""
    heard: dict[str, list[StreamEvent]] = {name: [] for name in names}
    silent = 0
    for event in stream:
        if event is None:
            silent += 1
            assert silent < 10, f"no end was told: {heard}"
            continue
        assert isinstance(event, StreamEvent), event
        heard[event.order.client_order_id].append(event)
        if all(events and events[-1].order.state in FINAL for events in heard.values()):
            break
    return heard


@behaviour
def without_a_network_nothing_is_unknown(subject: Subject) -> None:
    if subject.broker.capabilities.has_network:
        return
    ticket = subject.ticket("one")
    for _ in range(2):
        assert isinstance(subject.broker.submit(ticket, gate=is_open), Accepted)
    subject.final("one")
    assert not isinstance(subject.broker.cancel(subject.order("one")), Unknown)
