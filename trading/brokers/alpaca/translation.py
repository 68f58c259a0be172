"""Alpaca's orders, fills, positions and accounts in our words.

Execution ids. A fill is told twice: by the trade-updates socket (with an `execution_id`) and by the account activities
(with an `id` as `20210127144930176::ddc0a142-ebfd-4890-9021-641d33e58742`). Nothing that Alpaca publishes says that
the one is part of the other; its issue 94 (github.com/alpacahq/Alpaca-API) was about fills that could not be joined.
Both do tell how much of the order was filled once this fill was done: the socket as `order.filled_qty`, the activities
as `cum_qty`, "the cumulative quantity of shares involved in the execution" (docs.alpaca.markets, account activities).
It grows with every fill of an order, also where several fall into one millisecond (issue 170 there). So an execution's
id is the broker's order id with that number. Should the two ever disagree, the sum exceeds the order, which nobody
books in silence.

Fees. Alpaca takes no commission; regulatory fees are charged once a day, not by fill. So an execution's fee is zero
here. Until they are charged they are `accrued_fees`, which Alpaca "deducts from account balances" (its page on
regulatory fees): the cash that it tells is less already.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO
from trading.brokers.alpaca import reading
from trading.brokers.protocol import (
    BadReport,
    BrokerAccountState,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    ForeignReport,
    OwnReport,
    UnreadableReport,
)
from trading.core.order_states import OrderState
from trading.core.orders import CLIENT_ID_PREFIX

WORKING = OrderState.ACCEPTED  # becomes partially_filled where some of it is filled

# Alpaca's status -> our state, and why (https://docs.alpaca.markets/docs/orders-at-alpaca, order lifecycle).
STATUSES: dict[str, tuple[OrderState, str]] = {
    "new": (WORKING, "at the exchange"),
    "accepted": (WORKING, "Alpaca has it, the exchange not yet, as at night: it will work by itself"),
    "pending_new": (WORKING, "on its way to the exchange; ours to cancel already"),
    "accepted_for_bidding": (WORKING, "exchanges are asked for prices"),
    "pending_review": (WORKING, "Alpaca looks at it; it may still work or be rejected"),
    "held": (WORKING, "waits for another order; ours never do, but it is at the broker"),
    "stopped": (WORKING, "a trade is guaranteed, but has not happened yet"),
    "suspended": (WORKING, "not eligible for trading now; it may be again, so it still counts"),
    "partially_filled": (OrderState.PARTIALLY_FILLED, "some of it is filled, the rest works"),
    "pending_replace": (WORKING, "works on until it is replaced"),
    "done_for_day": (WORKING, "nothing more today; a gtc order goes on tomorrow, a day order will be told expired"),
    "calculated": (WORKING, "filled or done for the day, only the settlement is not ready: filled if all of it is"),
    "pending_cancel": (OrderState.CANCELLING, "may still be filled"),
    "filled": (OrderState.FILLED, "all of it"),
    "canceled": (OrderState.CANCELLED, "what was filled before stays"),
    "expired": (OrderState.EXPIRED, "its time in force is over"),
    "replaced": (OrderState.CANCELLED, "another order has taken its place; this one never trades again"),
    "rejected": (OrderState.REJECTED, "Alpaca or the exchange refused it"),
}  # fmt: skip
FILLS = frozenset({"fill", "partial_fill"})
# Events that only tell an order as it is now.
TELLING = frozenset(
    {
        "new", "accepted", "pending_new", "canceled", "expired", "done_for_day", "replaced", "rejected", "stopped",
        "pending_cancel", "pending_replace", "calculated", "suspended", "held", "pending_review",
        "accepted_for_bidding", "restated", "order_replace_rejected", "order_cancel_rejected",
    }
)  # fmt: skip
# A fill that was taken back or changed after the fact: the books are corrected by a person. What he does with it. A
# corrected fill has the id that it had, and what was reversed is never booked again.
CORRECTIONS = {
    "trade_bust": "a fill was taken back after the fact: reverse it",
    "trade_correct": "a fill was corrected after the fact: do not reverse it, for its units could not be booked again; "
    "book the difference of the cash, and explain what the next reconciliation finds",
}


def order_of(payload: Any) -> BrokerOrder:
    """Raises BadReport; ForeignReport where the order is not ours by its client id, as one in dollars."""
    order = reading.document(payload, "the order")
    try:
        return _order_of(order)
    except BadReport as report:
        if not _is_foreign(order):
            raise
        raise ForeignReport(
            str(report),
            payload=report.payload,
            key=reading.text(order, "id"),
            at=_moment(order, _submitted(order)),
        ) from None


def order_or_report(payload: Any) -> BrokerOrder | UnreadableReport:
    """As a row of a list. Raises BadReport where it has no id, or not its client's."""
    try:
        return order_of(payload)
    except ForeignReport as report:
        return report
    except BadReport as report:
        order = reading.document(payload, "the order")
        return OwnReport(
            str(report), payload=report.payload, key=reading.text(order, "id"),
            client_order_id=reading.text(order, "client_order_id"), at=_moment(order, _submitted(order)),
        )  # fmt: skip


def _is_foreign(order: Mapping[str, Any]) -> bool:
    """By its client id, which Alpaca gives to every order that comes without."""
    name = order.get("client_order_id")
    return isinstance(name, str) and name != "" and not name.startswith(CLIENT_ID_PREFIX)


def _submitted(order: Mapping[str, Any]) -> str:
    """The field that tells it."""
    return "submitted_at" if order.get("submitted_at") is not None else "created_at"


def _moment(payload: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return reading.moment(payload, name)
    except BadReport:
        return None


def _order_of(order: Mapping[str, Any]) -> BrokerOrder:
    payload = order
    quantity = reading.quantity(order, "qty")
    filled = reading.quantity(order, "filled_qty", zero=True)
    if filled > quantity:
        raise reading.bad("more is filled than was ordered", payload)
    status = reading.text(order, "status")
    if status not in STATUSES:
        raise reading.bad("its status is not known", payload)
    state = _state(status, quantity=quantity, filled=filled)
    if state == OrderState.FILLED and filled != quantity:
        raise reading.bad("it is filled, but not all of it", payload)
    return BrokerOrder(
        client_order_id=reading.text(order, "client_order_id"),
        broker_order_id=reading.text(order, "id"),
        symbol=reading.symbol(order),
        side=reading.side(order),
        quantity=quantity,
        filled_quantity=filled,
        state=state,
        average_price=reading.price(order, "filled_avg_price") if filled else None,
        reason=_reason(order, status),
        submitted_at=reading.moment(order, _submitted(order)),
        changed_at=_moment(order, "updated_at"),
    )


def _state(status: str, *, quantity: Decimal, filled: Decimal) -> OrderState:
    state, _ = STATUSES[status]
    if status == "calculated" and filled == quantity:
        return OrderState.FILLED
    if state == WORKING and filled:
        return OrderState.PARTIALLY_FILLED
    return state


def _reason(order: Mapping[str, Any], status: str) -> str:
    """Why it is not working as usual; empty where there is nothing to say."""
    if status == "replaced" and isinstance(order.get("replaced_by"), str):
        return f"replaced by {order['replaced_by'][: reading.TEXT_MAX]}"
    given = order.get("reject_reason")
    if isinstance(given, str) and given:
        return given[: reading.TEXT_MAX]
    return "" if status in {"new", "accepted", "partially_filled", "filled"} else status


def _execution_id(broker_order_id: str, cumulative: Decimal) -> str:
    return f"{broker_order_id}:{cumulative.normalize():f}"


def execution_of_event(event: Mapping[str, Any], order: BrokerOrder) -> BrokerExecution:
    """Of a `fill` or `partial_fill` of the socket. Raises BadReport."""
    quantity = reading.quantity(event, "qty")
    if quantity > order.filled_quantity:
        raise reading.bad("it fills more than the order says is filled", event)
    return BrokerExecution(
        execution_id=_execution_id(order.broker_order_id, order.filled_quantity),
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=reading.price(event, "price"),
        fee=ZERO,
        at=reading.moment(event, "timestamp"),
    )


def execution_of_activity(
    payload: Any, order: BrokerOrder | UnreadableReport
) -> BrokerExecution | UnreadableReport:
    """Of the account activities, which do not name the client's id: `order` is the one of its `order_id`. What cannot
    be read is returned as that."""
    activity = reading.document(payload, "the activity")
    if isinstance(order, ForeignReport):
        return _unreadable_fill(activity, "its order is not ours and cannot be read")
    if isinstance(order, OwnReport):
        return _unreadable_fill(activity, f"its order cannot be read: {order}", ours=order.client_order_id)
    assert isinstance(order, BrokerOrder)
    try:
        return _execution_of_activity(activity, order)
    except BadReport as report:
        is_ours = order.client_order_id.startswith(CLIENT_ID_PREFIX)
        return _unreadable_fill(activity, str(report), ours=order.client_order_id if is_ours else "")


def _unreadable_fill(activity: Mapping[str, Any], reason: str, *, ours: str = "") -> UnreadableReport:
    """ours: its order's client id, where it is ours."""
    told: dict[str, Any] = {
        "payload": reading.plain(activity), "key": reading.text(activity, "id"), "is_fill": True,
        "at": reading.moment(activity, "transaction_time"),
    }  # fmt: skip
    return OwnReport(reason, client_order_id=ours, **told) if ours else ForeignReport(reason, **told)


def _execution_of_activity(activity: Mapping[str, Any], order: BrokerOrder) -> BrokerExecution:
    payload = activity
    if activity.get("activity_type") != "FILL" or activity.get("type") not in FILLS:
        raise reading.bad("it is no fill", payload)
    quantity, cumulative = reading.quantity(activity, "qty"), reading.quantity(activity, "cum_qty")
    if quantity > cumulative or cumulative > order.quantity:
        raise reading.bad("its quantities cannot be", payload)
    if (reading.symbol(activity), reading.side(activity)) != (order.symbol, order.side):
        raise reading.bad("it is of another symbol or side than its order", payload)
    return BrokerExecution(
        execution_id=_execution_id(order.broker_order_id, cumulative),
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=reading.price(activity, "price"),
        fee=ZERO,
        at=reading.moment(activity, "transaction_time"),
    )


def position_of(payload: Any) -> BrokerPosition:
    """Raises BadReport. A short position is below zero, whether Alpaca writes a sign or only `side`. Alpaca counts in
    nine places, where we have eight: a split or somebody's dollars may leave such a part."""
    position = reading.document(payload, "the position")
    side, signed = reading.text(position, "side"), reading.number(position, "qty")
    if side not in {"long", "short"} or (side == "long" and signed < 0) or signed == 0:
        raise reading.bad("its side and its sign cannot be", payload)
    return BrokerPosition(
        symbol=reading.symbol(position), quantity=signed if side == "long" else -abs(signed)
    )


OBJECTIONS = {
    "trading_blocked": "Alpaca has blocked trading in this account",
    "account_blocked": "Alpaca has blocked this account",
    "trade_suspended_by_user": "trading is suspended in the settings of this account",
}


def account_of(payload: Any) -> BrokerAccountState:
    """Raises BadReport. A block that is not told counts as one."""
    account = reading.document(payload, "the account")
    currency = reading.text(account, "currency")
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise reading.bad("currency is none", payload)
    for name in OBJECTIONS:
        if not isinstance(account.get(name), bool):
            raise reading.bad(f"{name} is neither true nor false", payload)
    status = reading.text(account, "status")
    objections = [told for name, told in OBJECTIONS.items() if account[name]]
    if status != "ACTIVE":
        objections.append(f"the account's status is {status}")
    return BrokerAccountState(
        account_number=reading.text(account, "account_number"),
        currency=currency,
        cash=reading.number(account, "cash").quantize(reading.PLACES),
        trading_objection="; ".join(objections),
        accrued=_accrued(account),
    )


def _accrued(account: Mapping[str, Any]) -> Decimal:
    """Zero where it is not told."""
    if account.get("accrued_fees") in (None, ""):
        return ZERO
    return max(reading.number(account, "accrued_fees").quantize(reading.PLACES), ZERO)
