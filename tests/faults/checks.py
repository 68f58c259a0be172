"""What must never be, each a small function over the evidence that returns a line for every violation.

lost        an intent that left `pending` and has neither an order at the broker nor a final state with a reason; an
            order at the broker that no trade of ours sent
duplicated  one intent, two orders; one fill booked twice, or not as the broker filled it
guessed     a state that the broker does not bear out; exposure forgotten, or a symbol traded, while nobody knew
breaches    more than a limit allows, at any moment that the journal tells of; anything sent after a drained halt
invariants  what `verify_books` and the list of invariants say otherwise
"""

import uuid
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from tests.faults.evidence import Event, Evidence, Stop, Trade
from tests.simulator.witness import WitnessedOrder
from trading.core.order_states import FINAL, MOVES, OrderState

Check = Callable[[Evidence], list[str]]
FINAL_NAMES = frozenset(str(state) for state in FINAL)
# Our final state -> what the broker may call it.
SAME_END = {
    "filled": {"filled"}, "cancelled": {"canceled", "replaced"}, "expired": {"expired"}, "rejected": {"rejected"}
}  # fmt: skip
CENT = Decimal("0.01")
CAUSE_SECONDS = 45.0
HOPS_MAX = 4  # of the table, that one transaction may take and tell of only by the last


def _orders(evidence: Evidence) -> dict[str, WitnessedOrder]:
    return {cid: order for (_, cid), order in evidence.witness.orders.items() if not order.foreign}


def _name(trade: Trade) -> str:
    return f"{trade.client_order_id} ({trade.key or 'paper'} {trade.side} {trade.symbol} {trade.status})"


# lost


def unsettled(evidence: Evidence) -> list[str]:
    return [f"{_name(t)}: still open" for t in evidence.trades if t.status not in FINAL_NAMES]


def ended_without_a_reason(evidence: Evidence) -> list[str]:
    orders = _orders(evidence)
    return [
        f"{_name(trade)}: the broker never had it, and nobody says why it ended"
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
            found.append(f"{_name(trade)}: at the broker in {order.account}, and never sent there")
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
    orders, booked = _orders(evidence), defaultdict(list)
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
            found.append(f"{_name(trade)}: booked and not filled: {more}; filled and not booked: {less}")
    return found


def _told(fills: Mapping[tuple[Decimal, Decimal], int]) -> str:
    return ", ".join(f"{n} × {q:f} at {p:f}" for (q, p), n in fills.items()) or "none"


# guessed


def ends_the_broker_does_not_know(evidence: Evidence) -> list[str]:
    orders, found = _orders(evidence), []
    for trade in evidence.trades:
        if not trade.key or trade.status not in FINAL_NAMES:
            continue
        order = orders.get(trade.client_order_id)
        if order is None or not order.accepted:
            refused = order is not None and order.refusals
            if trade.status == "filled" or (trade.status == "rejected" and trade.attempt and not refused):
                found.append(f"{_name(trade)}: the broker neither took nor refused it")
        elif order.state not in SAME_END[trade.status]:
            found.append(f"{_name(trade)}: at the broker it is {order.state}, filled {order.filled:f}")
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


# breaches


def beyond_limits_when_decided(evidence: Evidence) -> list[str]:
    """Recomputed from the journal alone: what was held and being bought when each order was made."""
    return [
        line for events in evidence.of_portfolio().values() for line in _replayed(events, evidence.limits)
    ]


def _replayed(events: Sequence[Event], limits: Mapping[str, Decimal]) -> list[str]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    buying: dict[str, tuple[str, Decimal]] = {}
    found: list[str] = []
    for event in events:
        told = event.payload
        if not event.kind.startswith("trade.") or "client_order_id" not in told:
            continue
        cid, symbol, buys = told["client_order_id"], told["symbol"], told["trade_type"] == "buy"
        if event.kind == "trade.created":
            quantity, price = Decimal(told["quantity"]), Decimal(told["trigger_price"])
            if buys:
                buying[cid] = (symbol, quantity)
                found += [
                    f"{cid}: {line}" for line in _too_much(symbol, quantity, price, held, buying, limits)
                ]
            elif quantity > held[symbol]:
                found.append(f"{cid}: sells {quantity:f} of {held[symbol]:f} {symbol}")
        if "fill_quantity" in told:
            filled = Decimal(told["fill_quantity"])
            held[symbol] += filled if buys else -filled
            if cid in buying:
                buying[cid] = (symbol, buying[cid][1] - filled)
        if told["status"] in FINAL_NAMES:
            buying.pop(cid, None)
    return found


def _too_much(
    symbol: str, quantity: Decimal, price: Decimal, held: Mapping[str, Decimal],
    buying: Mapping[str, tuple[str, Decimal]], limits: Mapping[str, Decimal],
) -> list[str]:  # fmt: skip
    whole = held[symbol] + sum(rest for name, rest in buying.values() if name == symbol)
    symbols = {name for name, units in held.items() if units > 0} | {name for name, _ in buying.values()}
    used = {
        "max_order_value": quantity * price,
        "max_position_value": whole * price,
        "max_open_positions": Decimal(len(symbols)),
    }
    return [
        f"{name}: {value:f} of {limits[name]:f}" for name, value in used.items() if name in limits
        and value > limits[name]
    ]  # fmt: skip


def too_many_trades_a_day(evidence: Evidence) -> list[str]:
    found = []
    traded = [trade for trade in evidence.trades if trade.filled > 0 and trade.side == "buy"]
    for name, key in (
        ("max_daily_trades", lambda t: (t.portfolio_id, t.market_day)),
        ("max_daily_trades_per_symbol", lambda t: (t.portfolio_id, t.market_day, t.symbol)),
        ("max_daily_trades_per_rule", lambda t: (t.portfolio_id, t.market_day, t.rule_id)),
    ):
        limit = evidence.limits.get(name)
        for about, count in Counter(key(trade) for trade in traded).items():
            if limit is not None and count > limit:
                found.append(f"{name}: {count} entries of {about}")
    return found


def too_many_messages(evidence: Evidence) -> list[str]:
    """Orders in any window, but for those that were sent again: these are counted, and nothing holds them up."""
    again: dict[uuid.UUID, list[float]] = defaultdict(list)
    for event in evidence.events:
        if event.kind == "trade.submitting" and int(event.payload.get("attempt", 1)) > 1:
            again[event.portfolio_id].append(event.at)
    sent: dict[uuid.UUID, list[float]] = defaultdict(list)
    for message in evidence.messages:
        if message.kind == "submit":
            sent[message.portfolio_id].append(message.at)
    found = []
    for name, seconds in (("max_messages_per_second", 1.0), ("max_messages_per_minute", 60.0)):
        limit = evidence.limits.get(name)
        for portfolio_id, times in sent.items():
            most = _most_within(sorted(times), seconds, sorted(again[portfolio_id]))
            if limit is not None and most > limit:
                found.append(f"{name}: {most} of portfolio {portfolio_id}")
    return found


def _most_within(times: Sequence[float], seconds: float, excused: Sequence[float]) -> int:
    most = 0
    for place, end in enumerate(times):
        begin = end - seconds
        count = place + 1 - bisect_right(times, begin)
        # A second sending is journalled in the transaction that counts it: about a second's slack.
        count -= bisect_right(excused, end + 1.0) - bisect_left(excused, begin - 1.0)
        most = max(most, count)
    return most


def cash_below_zero(evidence: Evidence) -> list[str]:
    return [
        f"portfolio {key}: cash was {min(history):f}"
        for key, history in evidence.cash_history.items()
        if history and min(history) < 0
    ]


def sent_after_a_drained_halt(evidence: Evidence) -> list[str]:
    """Requests for an order that reached the broker between a halt's draining and its release."""
    by_id = {trade.client_order_id: trade for trade in evidence.trades}
    times = [at for at, _, _ in evidence.submits]
    found = []
    for halt in evidence.halts:
        if halt.drained_at is None:
            continue
        first = bisect_right(times, halt.drained_at)
        last = bisect_left(times, halt.released_at) if halt.released_at is not None else len(times)
        for at, key, cid in evidence.submits[first:last]:
            trade = by_id.get(cid)
            if trade is not None and _covers(halt, trade):
                found.append(f"{_name(trade)}: sent {at - halt.drained_at:.3f} s after {halt.scope} {halt.scope_id} "
                             f"was drained ({key})")  # fmt: skip
    return found


def _covers(halt: Stop, trade: Trade) -> bool:
    if halt.mode == "reduce_only" and trade.side == "sell":
        return False
    scopes = {
        "platform": "", "account": str(trade.account_id), "portfolio": str(trade.portfolio_id),
        "session": str(trade.session_id), "rule": str(trade.rule_id), "symbol": trade.symbol,
    }  # fmt: skip
    return scopes[halt.scope] == halt.scope_id


def decided_on_old_prices(evidence: Evidence) -> list[str]:
    limit = evidence.limits.get("max_price_age_seconds")
    if limit is None:
        return []
    return [
        f"{_name(trade)}: decided on a price {trade.price_age_ms} ms old"
        for trade in evidence.trades
        if trade.side == "buy" and trade.price_age_ms > limit * 1000
    ]


# invariants


def books_that_differ(evidence: Evidence) -> list[str]:
    """7, 8, 10 and 11, as `manage.py verify_books` says it."""
    return list(evidence.book_differences)


def sent_without_approval(evidence: Evidence) -> list[str]:
    """4: a passing decision that names limits and price age."""
    return [
        f"{_name(trade)}: decision {trade.outcome}, limits {trade.limits_version!r}, age {trade.price_age_ms}"
        for trade in evidence.trades
        if trade.outcome != "traded" or not trade.checks or not all(c["passed"] for c in trade.checks)
        or not trade.limits_version or trade.price_age_ms < 0
    ]  # fmt: skip


def gaps_in_sequences(evidence: Evidence) -> list[str]:
    """10."""
    found = []
    for portfolio_id, events in evidence.of_portfolio().items():
        numbers = [event.seq for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"portfolio {portfolio_id}: {len(numbers)} events up to {numbers[-1]}")
    return found


def moves_outside_the_table(evidence: Evidence) -> list[str]:
    """7, from the journal."""
    found = []
    for events in evidence.of_portfolio().values():
        states: dict[str, str] = {}
        for event in events:
            if not event.kind.startswith("trade.") or "client_order_id" not in event.payload:
                continue
            cid, new = event.payload["client_order_id"], event.payload["status"]
            old = states.get(cid)
            if old is None and new != "pending":
                found.append(f"{cid}: begins as {new}")
            elif old is not None and old != new and not _leads_to(old, new):
                found.append(f"{cid}: {old} → {new}")
            states[cid] = new
    return found


def _leads_to(old: str, new: str) -> bool:
    reached = {OrderState(old)}
    for _ in range(HOPS_MAX):
        reached |= {after for state in reached - FINAL | {OrderState(old)} for after in MOVES[state]}
    return OrderState(new) in reached


def positions_that_differ(evidence: Evidence) -> list[str]:
    """8: ours and the witness's, of each account."""
    found = []
    for key, ours in evidence.holdings.items():
        theirs = {symbol: units for symbol, units in evidence.witness.positions[key].items() if units}
        if dict(ours) != theirs:
            found.append(f"{key}: we hold {_plain(ours)}, the broker {_plain(theirs)}")
    return found


def cash_that_differs(evidence: Evidence) -> list[str]:
    """8: to a cent."""
    return [
        f"{key}: our cash is {ours:f}, the broker's {evidence.witness.cash[key]:f}"
        for key, ours in evidence.cash.items()
        if abs(ours - evidence.witness.cash[key]) > CENT
    ]


def _plain(units: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{quantity:f} {symbol}" for symbol, quantity in sorted(units.items())) or "nothing"


def breaks_without_a_cause(evidence: Evidence) -> list[str]:
    """2 and 8: no difference but where the broker was heard to say what is not true; and none is left open."""
    found = []
    for row in evidence.breaks:
        if not evidence.lied(row.key, row.found_at - CAUSE_SECONDS, row.found_at + 1.0):
            found.append(f"{row.key}: {row.kind}, {row.detail}: the broker had said nothing untrue")
        elif row.is_open:
            found.append(f"{row.key}: {row.kind}, {row.detail}: still open")
    return found


def secrets_told(evidence: Evidence) -> list[str]:
    """12."""
    return list(evidence.secrets_in_logs)


CHECKS: dict[str, tuple[Check, ...]] = {
    "lost": (unsettled, ended_without_a_reason, orders_nobody_sent),
    "duplicated": (accepted_twice, two_orders_for_one_intent, fills_not_as_the_broker_filled),
    "guessed": (ends_the_broker_does_not_know, exposure_forgotten, symbols_traded_while_unknown),
    "breaches": (
        beyond_limits_when_decided, too_many_trades_a_day, too_many_messages, cash_below_zero,
        sent_after_a_drained_halt, decided_on_old_prices,
    ),
    "invariants_broken": (
        books_that_differ, sent_without_approval, gaps_in_sequences, moves_outside_the_table, positions_that_differ,
        cash_that_differs, breaks_without_a_cause, secrets_told,
    ),
}  # fmt: skip


def run(evidence: Evidence) -> dict[str, list[str]]:
    """Every violation, by what it is counted as."""
    return {
        name: [f"{check.__name__}: {line}" for check in checks for line in check(evidence)]
        for name, checks in CHECKS.items()
    }
