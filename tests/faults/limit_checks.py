"""Checks of limits and halts, recomputed from what was committed in which order: breaches. See `checks.py`."""

import uuid
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tests.faults.evidence import FINAL_NAMES, Event, Evidence, Stop, Trade


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
                found.append(f"{trade}: sent {at - halt.drained_at:.3f} s after {halt.scope} {halt.scope_id} "
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
        f"{trade}: decided on a price {trade.price_age_ms} ms old"
        for trade in evidence.trades
        if trade.side == "buy" and trade.price_age_ms > limit * 1000
    ]
