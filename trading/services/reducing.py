"""Selling what is held because something other than a rule wants it: a stopping session, a position's protection.

The same path as a rule's sale takes: a decision that tells why, every control, a trade that reserves at once. And how
a rule's sale gets rid of what is in its way.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from foundation.copying import StoredJson
from foundation.core.money import ZERO
from journal.core.events import AlertSpec, Event
from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from trading.brokers.connections import rejects_opposites
from trading.core.kept_findings import kept_text
from trading.core.order_states import FINAL
from trading.core.risk import Approved, RefusalCode, Refused
from trading.models import AutoTrade
from trading.selectors import orders_in_the_way
from trading.services.decisions import Draft, Outcome, Recorded, record
from trading.services.fresh_state import FreshState
from trading.services.history import made_way
from trading.services.order_management import Intent, make_trade, request_cancels, store_trades, trade_event
from trading.services.risk_management import OrderWish, opposite_orders, validate_trade


@dataclass(frozen=True)
class Reduction:
    """What is to be sold at market, and why.

    quantity in units, of what no other order has reserved; `why` in one or two words, for the decision's sentence;
    session_id: the session that decides it, None when none does.
    """

    instrument_id: int
    quantity: Decimal
    session_id: uuid.UUID | None
    origin: str
    actor: str
    why: str
    explanation: dict[str, Any]


def sell(state: FreshState, reduction: Reduction) -> tuple[Draft, AutoTrade | None]:
    """The decision, and the unsaved trade if it may go out; the trade belongs to the state's session."""
    draft, approved = _decide(state, reduction)
    if approved is None:
        return draft, None
    intent = Intent(
        decision_id=draft.id, rule_id=None, rule_version_id=None, approved=approved,
        instrument=state.view.instruments[reduction.instrument_id], origin=reduction.origin, actor=reduction.actor,
    )  # fmt: skip
    return draft, make_trade(state, intent)


def refusal_beforehand(
    state: FreshState, reduction: Reduction, *, in_the_way: Collection[uuid.UUID], freed: Decimal
) -> Draft | None:
    """The decision against the sale, if a control refuses it even once these orders have ended and given `freed` units
    back: then they need not be cancelled for it, and go on protecting what they protect. Else None."""
    cleared = replace(state, history=state.history.without(in_the_way))
    draft, approved = _decide(cleared, reduction, freed=freed)
    return draft if approved is None else None


def free_what_waits(
    state: FreshState, instrument: Instrument, *, price: Decimal, rule_id: uuid.UUID
) -> list[Event]:
    """Cancel the sales that wait for another price and keep their units from a rule that sells all that is held at
    market, whoever wanted them; as a stop loss does, and only if no control refuses the sale of all. Where the broker
    would reject it beside own buys, these are cancelled, too. What that is told by; empty: nothing was in the way. A
    sale of a part cancels nothing: what waits may protect the rest.

    At a real broker the units come free when that says that they are gone: people are told, for the rule may be true no
    more by then. The caller saves the books.
    """
    position = state.books.position(state.portfolio_id, instrument.id)
    if position.reserved_quantity <= 0 or not state.view.market_of(instrument).is_open:
        return []
    open_orders = [
        trade for trade in orders_in_the_way([state.portfolio_id]) if trade.instrument_id == instrument.id
    ]
    waiting = [trade for trade in open_orders if trade.trade_type == "sell"]
    reservations = [state.books.reservations.get(trade.id) for trade in waiting]
    freed = sum((row.quantity for row in reservations if row is not None), ZERO)
    if freed <= 0:
        return []
    quantity = position.quantity - position.reserved_quantity + freed
    wish = OrderWish("sell", quantity, instrument, price, rule_id=rule_id, freed=freed)
    gone = {trade.id for trade in waiting}
    if rejects_opposites(state.account):
        gone |= {order.id for order in opposite_orders(state, wish)}
    cleared = replace(state, history=state.history.without(gone))
    if isinstance(validate_trade(cleared, wish), Refused):
        return []
    leaving = [trade for trade in open_orders if trade.id in gone]
    events = request_cancels(
        leaving, books=state.books, reason=f"a rule sells all {instrument.symbol} at market"
    )
    made_way(state.history, leaving)
    if all(trade.status in FINAL for trade in waiting):
        return events
    message = (
        f"A rule sells all {instrument.symbol} at market, so what waited to sell it at another price is being "
        "cancelled at the broker. It is sold once that is gone, if the rule is true then."
    )
    return [replace(events[0], alert=AlertSpec("warning", message)), *events[1:]]


def without_buys_in_its_way(
    state: FreshState, wish: OrderWish, verdict: Approved | Refused
) -> tuple[Approved | Refused, list[Event]]:
    """The verdict on a sale once the buys are asked to go beside which alone its broker would reject it, whoever
    wanted them; and what that is told by. As it was, and nothing cancelled, where a control refuses it all the same.

    The sale is sent when its broker says that they are gone (`objections.hindrance_to`). The caller saves the books.
    """
    washed = isinstance(verdict, Refused) and verdict.code is RefusalCode.WASH_TRADE
    if not washed or wish.side != "sell" or not rejects_opposites(state.account):
        return verdict, []
    ids = {order.id for order in opposite_orders(state, wish)}
    cleared = replace(state, history=state.history.without(ids))
    if isinstance(validate_trade(cleared, wish), Refused):
        return verdict, []
    buys = [trade for trade in orders_in_the_way([state.portfolio_id]) if trade.id in ids]
    reason = f"a rule sells {wish.instrument.symbol}, and the broker would reject that beside it"
    events = request_cancels(buys, books=state.books, reason=reason)
    made_way(state.history, buys)
    return validate_trade(state, wish), events


def _decide(
    state: FreshState, reduction: Reduction, *, freed: Decimal = ZERO
) -> tuple[Draft, Approved | None]:
    instrument = state.view.instruments[reduction.instrument_id]
    quantity, price = reduction.quantity, state.price(instrument)
    draft = Draft(
        portfolio_id=state.portfolio_id, session_id=reduction.session_id, rule_id=None, rule_version_id=None,
        instrument_id=instrument.id, symbol=instrument.symbol, outcome=Outcome.NO_SIZE,
        explanation=reduction.explanation, detail="the price is unknown",
        sizing={"method": "full_position", "quantity": quantity, "price": price or ZERO},
    )  # fmt: skip
    if price is None:
        return draft, None
    wish = OrderWish("sell", quantity, instrument, price, protective=True, freed=freed)
    verdict = validate_trade(state, wish)
    draft.checks = StoredJson(kept_text(verdict.findings))
    if isinstance(verdict, Refused):
        draft.outcome, draft.code, draft.detail = Outcome.REFUSED, verdict.code.value, verdict.detail
        return draft, None
    draft.outcome = Outcome.TRADED
    draft.detail = f"sell {quantity.normalize():f} {instrument.symbol}: {reduction.why}"
    return draft, verdict


def store(
    drafts: Sequence[Draft], trades: Sequence[AutoTrade], *, snapshot: MarketSnapshot
) -> tuple[Recorded, list[Event]]:
    """Write decisions and trades; the events of both, the decisions' first. The caller saves the books."""
    recorded = record(drafts, snapshot=snapshot, previous_slot=snapshot.version - 1)
    store_trades(trades)
    created = [
        trade_event(trade, "trade.created", at=trade.market_at, trigger_price=trade.trigger_price)
        for trade in trades
    ]
    return recorded, created
