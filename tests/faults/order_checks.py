"""Checks of orders against the simulator's log: lost, duplicated, guessed. See `checks.py`."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal

from tests.faults.evidence import FINAL_NAMES, Evidence

# Our final state -> what the broker may call it.
SAME_END = {
    "filled": {"filled"}, "cancelled": {"canceled", "replaced"}, "expired": {"expired"}, "rejected": {"rejected"}
}  # fmt: skip

# lost


def unsettled(evidence: Evidence) -> list[str]:
    return [f"{t}: still open" for t in evidence.trades if t.status not in FINAL_NAMES]


def ended_without_a_reason(evidence: Evidence) -> list[str]:
    orders = evidence.orders()
    return [
        f"{trade}: the broker never had it, and nobody says why it ended"
        for trade in evidence.trades
        if trade.key and trade.status in FINAL_NAMES and not trade.reason
        and not getattr(orders.get(trade.client_order_id), "accepted", 0)
    ]  # fmt: skip


def orders_nobody_sent(evidence: Evidence) -> list[str]:
    sent = {trade.client_order_id: trade for trade in evidence.trades}
    found = []
    for order in evidence.witness.taken():
        trade = sent.get(order.client_order_id)
        if trade is None:
            found.append(f"{order.client_order_id} of {order.account}: at the broker, and no trade of ours")
        elif trade.attempt == 0 or trade.key != order.account:
            found.append(f"{trade}: at the broker in {order.account}, and never sent there")
    return found


# duplicated


def accepted_twice(evidence: Evidence) -> list[str]:
    accounts = Counter(order.client_order_id for order in evidence.witness.taken())
    twice = [
        f"{o.client_order_id}: accepted {o.accepted} times"
        for o in evidence.witness.taken()
        if o.accepted > 1
    ]
    return twice + [f"{cid}: accepted in {count} accounts" for cid, count in accounts.items() if count > 1]


def two_orders_for_one_intent(evidence: Evidence) -> list[str]:
    wanted = Counter(
        (t.session_id, t.slot, t.symbol) for t in evidence.trades if t.session_id and t.origin == "rule"
    )
    return [f"session {key[0]} slot {key[1]} {key[2]}: {n} trades" for key, n in wanted.items() if n > 1]


def fills_not_as_the_broker_filled(evidence: Evidence) -> list[str]:
    """As multisets of (quantity, price): the two ways in which a broker tells of a fill share no id."""
    orders, booked = evidence.orders(), defaultdict(list)
    for fill in evidence.fills:
        booked[fill.trade_id].append((fill.quantity, fill.price))
    found = []
    for trade in evidence.trades:
        if not trade.key:
            continue
        order = orders.get(trade.client_order_id)
        theirs = Counter((f.quantity, f.price) for f in order.fills) if order is not None else Counter()
        ours = Counter(booked[trade.id])
        if ours != theirs:
            more, less = _told(ours - theirs), _told(theirs - ours)
            found.append(f"{trade}: booked and not filled: {more}; filled and not booked: {less}")
    return found


def _told(fills: Mapping[tuple[Decimal, Decimal], int]) -> str:
    return ", ".join(f"{n} × {q:f} at {p:f}" for (q, p), n in fills.items()) or "none"


# guessed


def ends_the_broker_does_not_know(evidence: Evidence) -> list[str]:
    orders, found = evidence.orders(), []
    for trade in evidence.trades:
        if not trade.key or trade.status not in FINAL_NAMES:
            continue
        order = orders.get(trade.client_order_id)
        if order is None or not order.accepted:
            refused = order is not None and order.refusals
            if trade.status == "filled" or (trade.status == "rejected" and trade.attempt and not refused):
                found.append(f"{trade}: the broker neither took nor refused it")
        elif order.state not in SAME_END[trade.status]:
            found.append(f"{trade}: at the broker it is {order.state}, filled {order.filled:f}")
    return found


def exposure_forgotten(evidence: Evidence) -> list[str]:
    return sorted(set(evidence.not_reserved))


def symbols_traded_while_unknown(evidence: Evidence) -> list[str]:
    found = []
    for events in evidence.of_portfolio().values():
        doubtful: dict[str, str] = {}  # client order id -> symbol
        for event in events:
            if not event.kind.startswith("trade.") or "client_order_id" not in event.payload:
                continue
            cid, symbol, status = (event.payload.get(n, "") for n in ("client_order_id", "symbol", "status"))
            if event.kind == "trade.created" and symbol in doubtful.values():
                found.append(f"{cid}: made while an order on {symbol} was unknown")
            if status in ("unknown", "quarantined"):
                doubtful[cid] = symbol
            else:
                doubtful.pop(cid, None)
    return found
