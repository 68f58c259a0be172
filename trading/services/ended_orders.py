"""Orders that were to last, and that a broker or a split has ended: people are told, and what a stop has protected is
watched by ourselves."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from foundation.core.canonical import plain_decimal
from journal.core.events import AlertSpec, Event, Severity
from market.services import snapshots
from portfolios.services.books import Books
from trading.core.order_states import WORKING, OrderState
from trading.core.orders import OrderType, TimeInForce
from trading.models import AutoTrade
from trading.services.protections import watch_in_place_of

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


def told_if_unasked(trade: AutoTrade, before: OrderState, ended: Event, *, books: Books) -> list[Event]:
    """`ended`, with an alert where the order was to last, or protects, and nobody here has asked for its end; and what
    is set in its place. A day order expires with its day: that is no news, nor is one that never worked."""
    status = OrderState(trade.status)
    lasts = trade.time_in_force == TimeInForce.GTC or (_protects(trade) and status != OrderState.EXPIRED)
    if status == OrderState.REJECTED:
        lasts = lasts and before in WORKING
    if trade.cancel_requested_at is not None or not lasts:
        return [ended]
    gtc = trade.time_in_force == TimeInForce.GTC
    what = "that was to work until it is cancelled" if gtc else "that protects"
    ended_it = f"The broker has ended an order {what} ({_words(trade)}): {trade.status_reason}"
    message = f"{ended_it}. Nobody here has asked for that"
    return _told(
        ended, trade, message, "place it anew if it is still wanted", books=books, price=_price(trade)
    )


def told_of_split(asked: Sequence[Event], trades: Sequence[AutoTrade], *, books: Books) -> list[Event]:
    """The events of cancels that a split asks for, with an alert of each order that was to last, or protects; and what
    is set in the place of stops, in percent, which holds in the new units, too."""
    lasting = {
        trade.id: trade for trade in trades if trade.time_in_force == TimeInForce.GTC or _protects(trade)
    }
    events = list[Event]()
    for event in asked:
        trade = lasting.get(event.payload["trade_id"])
        if trade is None:
            events.append(event)
            continue
        message = f"An order ({_words(trade)}) is cancelled for a split"
        cure = "place it anew in new units if it is still wanted"
        # The market's price may be in new units already, where all that is known of the position is in old ones.
        events += _told(event, trade, message, cure, books=books, price=None)
    return events


def _told(
    event: Event, trade: AutoTrade, message: str, cure: str, *, books: Books, price: Decimal | None
) -> list[Event]:
    """With an alert: a stop whose position nobody watches now is critical. price: the present one, in the units of the
    position."""
    watched, events = "", list[Event]()
    if _protects(trade):
        watched, events = watch_in_place_of(trade, books=books, price=price)
    severity: Severity = "critical" if _protects(trade) and not watched else "warning"
    whole = f"{message}. {watched}" if watched else f"{message}: {cure}."
    return [replace(event, alert=AlertSpec(severity, whole)), *events]


def _price(trade: AutoTrade) -> Decimal | None:
    snapshot = snapshots.current()
    return snapshot.price(trade.symbol) if snapshot is not None else None


def _protects(trade: AutoTrade) -> bool:
    return trade.trade_type == "sell" and trade.order_type in STOPS


def _words(trade: AutoTrade) -> str:
    rest = plain_decimal(trade.quantity - trade.filled_quantity)
    return f"{trade.order_type.replace('_', ' ')}, {trade.trade_type} {rest} {trade.symbol}"
