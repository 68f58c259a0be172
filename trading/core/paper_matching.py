"""What becomes of an order at the paper market against one snapshot. Pure, and deterministic from the account's seed.

market         at the touch (the ask for a buy, the bid for a sell), worsened by slippage and impact
limit          once the touch is at the limit or better; at the touch, so a better price is given to the order, and
               slippage and impact never carry it beyond its limit. A touch that is exactly the limit fills by chance
               only: how far back in the queue the order stands is not known (NautilusTrader's `FillModel`,
               prob_fill_on_limit; LEAN's `ImmediateFillModel` asks for a price beyond the limit)
stop           triggered by the *last* price at the stop or beyond it, as US exchanges elect stops, not by the quote;
               from then on a market order, at that same snapshot. So a gap through the stop is filled at the gap's
               price and never at the stop (LEAN's `StopMarketFill`: the worse of stop and market)
stop_limit     triggered in the same way, from then on a limit order
trailing_stop  its stop is `trail_percentage` behind the best last price since it reached the market

An order reaches the market with the first snapshot whose market time is `latency_ms` after its decision. Closed, the
market fills and triggers nothing. All orders of a portfolio in an instrument get at most `volume_limit_percentage` of
the volume of the last completed bar, which is a day's, until the next one completes, down to the lot; the rest works
on. Whether an order is looked at twice on one snapshot is the caller's care: chance answers the same question always
in the same way.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from foundation.core.money import ZERO, round_quantity
from foundation.core.quick import quick_init
from trading.core.orders import OrderTerms, OrderType
from trading.core.paper import NOTHING, PERCENT, Paid, PaperModel, fee_of, market_price

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
UNKNOWN_VOLUME = "the volume is unknown"
_DRAWS = 2**64


@quick_init
@dataclass(frozen=True, kw_only=True)
class PaperOrder:
    """quantity: what is left of `ordered`, above 0. Times are market time; `market_at` is the decision's.

    triggered_at, best_price: what the last look at it remembered (`Progress`). paid: of its fills before.
    """

    symbol: str
    side: str
    ordered: Decimal
    quantity: Decimal
    terms: OrderTerms
    market_at: datetime
    expires_at: datetime | None = None
    triggered_at: datetime | None = None
    best_price: Decimal | None = None
    paid: Paid = NOTHING

    @property
    def buys(self) -> bool:
        return self.side == "buy"


@quick_init
@dataclass(frozen=True, kw_only=True)
class PaperQuote:
    """One instrument at one snapshot; None is unknown. quoted_at: market time of this very quote. volume: of the last
    completed bar, in units."""

    as_of: datetime
    quoted_at: datetime
    is_open: bool
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    volume: Decimal | None
    tick: Decimal
    lot: Decimal


@quick_init
@dataclass(frozen=True)
class PaperFill:
    """price in currency per unit, fee in currency."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


@quick_init
@dataclass(frozen=True)
class Progress:
    """What one snapshot did to an order: nothing yet (`waits`, in words for people), or a fill, maybe of a part.

    met: it found a market, though that may have given it nothing: it works there from now on. expired: what is left of
    it after the fill, or all of it, ends now. triggered_at, best_price: to be remembered.
    """

    fill: PaperFill | None = None
    waits: str = ""
    met: bool = False
    expired: bool = False
    triggered_at: datetime | None = None
    best_price: Decimal | None = None


def match(order: PaperOrder, quote: PaperQuote, model: PaperModel, *, taken: Decimal = ZERO) -> Progress:
    """An order decided on a snapshot may be filled on that same one: its decision knew no other price.

    taken: units of the quote's volume that are used up.
    """
    assert order.quantity > 0
    if order.expires_at is not None and quote.as_of > order.expires_at:
        return Progress(None, "its time in force is over", False, True, order.triggered_at, order.best_price)
    best, triggered_at = order.best_price, order.triggered_at
    result: PaperFill | str = _obstacle(order, quote, model)
    met = not result
    if met:
        best = _best(order, quote)
        if triggered_at is None and _reaches_stop(order, quote, best):
            triggered_at = quote.as_of
        if triggered_at is None and order.terms.order_type in STOPS:
            result = "its stop price is not reached"
        else:
            result = _fill(order, quote, model, taken)
    fill, waits = (result, "") if isinstance(result, PaperFill) else (None, result)
    left = order.quantity - (fill.quantity if fill is not None else 0)
    ends = order.expires_at is not None and quote.as_of >= order.expires_at and left > 0
    return Progress(fill, waits, met and waits != UNKNOWN_VOLUME, ends, triggered_at, best)


def _obstacle(order: PaperOrder, quote: PaperQuote, model: PaperModel) -> str:
    """Why the order does not meet the market at all; empty when it does."""
    if not quote.is_open:
        return "the market is closed"
    if quote.as_of < order.market_at + timedelta(milliseconds=model.latency_ms):
        return "it has not reached the market yet"
    if quote.bid is None or quote.ask is None or not 0 < quote.bid <= quote.ask:
        return "there is no quote"
    return ""


def _best(order: PaperOrder, quote: PaperQuote) -> Decimal | None:
    if order.terms.order_type != OrderType.TRAILING_STOP or quote.last is None:
        return order.best_price
    if order.best_price is None:
        return quote.last
    return min(order.best_price, quote.last) if order.buys else max(order.best_price, quote.last)


def trailing_stop_price(best: Decimal, trail_percentage: Decimal, *, buys: bool) -> Decimal:
    """Not rounded: no order is sent at it, it is only compared with."""
    return best * (PERCENT + trail_percentage if buys else PERCENT - trail_percentage) / PERCENT


def _reaches_stop(order: PaperOrder, quote: PaperQuote, best: Decimal | None) -> bool:
    stop, trail = order.terms.stop_price, order.terms.trail_percentage
    if trail is not None and best is not None:
        stop = trailing_stop_price(best, trail, buys=order.buys)
    if stop is None or quote.last is None:
        return False
    return quote.last >= stop if order.buys else quote.last <= stop


def _fill(order: PaperOrder, quote: PaperQuote, model: PaperModel, taken: Decimal) -> PaperFill | str:
    """A fill, or why there is none."""
    touch = quote.ask if order.buys else quote.bid
    assert touch is not None
    limit = order.terms.limit_price
    if limit is not None:
        if touch > limit if order.buys else touch < limit:
            return "the price has not reached its limit"
        if touch == limit and not _is_lucky(order, quote, model):
            return "the price only touches its limit"
    quantity = _fillable(order, quote, model, taken)
    if isinstance(quantity, str):
        return quantity
    price = market_price(
        side=order.side, quantity=quantity, touch=touch, volume=quote.volume, tick=quote.tick, model=model
    )
    if limit is not None:
        price = min(price, limit) if order.buys else max(price, limit)
    return PaperFill(quantity, price, fee_of(quantity=quantity, price=price, model=model, before=order.paid))


def _fillable(order: PaperOrder, quote: PaperQuote, model: PaperModel, taken: Decimal) -> Decimal | str:
    """How much of what is left the volume allows, or why nothing."""
    if model.volume_limit_percentage == 0:
        return order.quantity
    if quote.volume is None:
        return UNKNOWN_VOLUME
    capacity = max(quote.volume * model.volume_limit_percentage / PERCENT - taken, ZERO)
    if order.quantity <= capacity:
        return order.quantity
    quantity = round_quantity(capacity, quote.lot)
    return quantity if quantity > 0 else "there is too little volume"


def _is_lucky(order: PaperOrder, quote: PaperQuote, model: PaperModel) -> bool:
    """Uniform in [0, 1) from the seed, what was ordered and when, and the quote's market time: the same in every
    process, whenever it is asked, and in another run of the same market, whose ids are others. A quote that stands over
    many snapshots is one chance, not many."""
    terms = order.terms
    asked: tuple[object, ...] = (
        order.symbol, order.side, _plain(order.ordered), terms.order_type.value, terms.time_in_force.value,
        _plain(terms.limit_price), _plain(terms.stop_price), _plain(terms.trail_percentage),
    )  # fmt: skip
    facts = (model.seed, *asked, order.market_at.astimezone(UTC), quote.quoted_at.astimezone(UTC))
    draw = int.from_bytes(hashlib.blake2b(" ".join(map(str, facts)).encode(), digest_size=8).digest())
    return draw * PERCENT < model.touch_fill_percentage * _DRAWS


def _plain(number: Decimal | None) -> str:
    """The same text however many zeros it was stored with."""
    return "" if number is None else f"{number.normalize():f}"
