"""How the market is asked for what a rule's action wants. Pure."""

from decimal import Decimal

from rules.core.actions import ActionRequest
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, to_tick

BPS = Decimal(10_000)


def terms_of(action: ActionRequest, *, price: Decimal, tick: Decimal) -> OrderTerms:
    """A day order: what a rule wanted yesterday it may not want today; while it stays true, it asks again.

    A limit is the last price made better by `limit_offset_bps` (a buy below it, a sell above it; below zero: through
    it), at the tick, and never worse than asked: a buy's limit rounds down, a sell's up. It is one tick at least.
    """
    if action.order_type == OrderType.MARKET:
        return MARKET_DAY
    assert action.order_type == OrderType.LIMIT and action.limit_offset_bps is not None
    better = action.limit_offset_bps / BPS
    buys = action.side == "buy"
    wanted = price * (1 - better if buys else 1 + better)
    limit = max(to_tick(wanted, tick, up=not buys), to_tick(tick, tick, up=True))
    return OrderTerms(order_type=OrderType.LIMIT, limit_price=limit)
