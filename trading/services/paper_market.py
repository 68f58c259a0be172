"""Trades and snapshots in the words of the pure paper market."""

import math
from datetime import UTC, datetime
from decimal import Decimal

from foundation.core.money import ZERO
from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.core.paper import NOTHING, Paid, fee_of
from trading.core.paper_matching import PaperOrder, PaperQuote, Progress
from trading.core.paper_matching import match as match_order
from trading.models import AutoTrade
from trading.services.fresh_state import costs_of


def terms_of(trade: AutoTrade) -> OrderTerms:
    return OrderTerms(
        order_type=OrderType(trade.order_type), time_in_force=TimeInForce(trade.time_in_force),
        limit_price=trade.limit_price, stop_price=trade.stop_price, trail_percentage=trade.trail_percentage,
    )  # fmt: skip


def order_of(trade: AutoTrade) -> PaperOrder:
    """What is left of it. A market order that has found no market yet has no close at which it expires: whoever
    executes gives it up when it has found none for a while."""
    terms = terms_of(trade)
    outside = terms.order_type == OrderType.MARKET and trade.status == OrderState.PENDING
    return PaperOrder(
        symbol=trade.symbol, side=trade.trade_type, ordered=trade.quantity,
        quantity=trade.quantity - trade.filled_quantity, terms=terms, market_at=trade.market_at,
        expires_at=None if outside else trade.expires_at, triggered_at=trade.triggered_at,
        best_price=trade.best_price, paid=_paid(trade) if trade.filled_quantity else NOTHING,
    )  # fmt: skip


def _paid(trade: AutoTrade) -> Paid:
    assert trade.executed_price is not None
    return Paid(trade.filled_quantity, trade.filled_quantity * trade.executed_price, trade.fees)


def fee_of_rest(trade: AutoTrade, price: Decimal) -> Decimal:
    """What all that is left of it costs in fees at this price, in currency: of a minimum what is not paid yet."""
    order = order_of(trade)
    return fee_of(quantity=order.quantity, price=price, model=costs_of(trade.account), before=order.paid)


def quote_of(instrument: Instrument, snapshot: MarketSnapshot) -> PaperQuote:
    """An instrument that the snapshot does not have is closed; one that has not been quoted since its exchange opened
    has no quote."""
    symbol = instrument.symbol
    place = snapshot.index(symbol)
    trades = place is not None and snapshot.trades(place)
    return PaperQuote(
        as_of=snapshot.as_of, quoted_at=_quoted_at(snapshot, place),
        is_open=place is not None and bool(snapshot.is_open[place]),
        bid=snapshot.bid_price(symbol) if trades else None,
        ask=snapshot.ask_price(symbol) if trades else None,
        last=snapshot.price(symbol) if trades else None,
        volume=_volume(snapshot, place), tick=instrument.tick_size, lot=instrument.lot_size,
    )  # fmt: skip


def _quoted_at(snapshot: MarketSnapshot, place: int | None) -> datetime:
    """Of what was never quoted the snapshot's own time: nothing is filled at it."""
    at = math.nan if place is None else float(snapshot.market_time[place])
    return datetime.fromtimestamp(at, UTC) if math.isfinite(at) else snapshot.as_of


def _volume(snapshot: MarketSnapshot, place: int | None) -> Decimal | None:
    if place is None or "volume" not in snapshot.fields:
        return None
    volume = float(snapshot.column("volume")[place])
    return Decimal(repr(volume)) if math.isfinite(volume) else None


def match(trade: AutoTrade, *, snapshot: MarketSnapshot, taken: Decimal = ZERO) -> Progress:
    """Its account and instrument are looked at, too. taken: units that its portfolio has had of the bar's volume."""
    quote = quote_of(trade.instrument, snapshot)
    return match_order(order_of(trade), quote, costs_of(trade.account), taken=taken)
