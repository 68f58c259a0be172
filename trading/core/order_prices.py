"""What a unit of an order may cost or bring, by its terms. Pure.

`last` is the last price, `touch` what the market gives now: the ask for a buy, the bid for a sell (NaN: no quote).

market         at the touch, worsened by slippage
limit          its limit price; never worse, so slippage does not reach it
stop           its stop price, or what the market gives where that is reached already; then as a market order
stop_limit     its limit price, once it is triggered
trailing_stop  a buy's stop starts `trail_percentage` above the present price and can only fall from there; a sell is
               measured at the present price, below which its stop starts
"""

from decimal import Decimal

from trading.core.orders import OrderTerms, OrderType

BPS = Decimal(10_000)
HUNDRED = Decimal(100)
# What they pay or get is bounded by their limit price.
LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})


def measured_at(terms: OrderTerms, *, side: str, last: Decimal) -> Decimal:
    """The price that every limit on size and exposure measures the order at."""
    if terms.order_type is OrderType.MARKET:
        return last
    if terms.order_type in LIMITED:
        assert terms.limit_price is not None
        return terms.limit_price
    if terms.order_type == OrderType.TRAILING_STOP:
        return last * _trail(terms) if side == "buy" else last
    return _worse(terms.stop_price, last, side=side)


def reference(terms: OrderTerms, *, side: str, last: Decimal) -> Decimal:
    """What the price of its execution is compared with: the last price, or that at which it will be triggered."""
    if terms.stop_price is None:
        return last
    return _worse(terms.stop_price, last, side=side)


def execution_price(terms: OrderTerms, *, side: str, touch: Decimal, slippage_bps: Decimal) -> Decimal:
    """The worst that it is expected to get, slippage included. NaN where only a quote could tell."""
    if terms.order_type in LIMITED:
        assert terms.limit_price is not None
        return terms.limit_price
    base = touch if terms.stop_price is None else _worse(terms.stop_price, touch, side=side)
    return base * (1 + slippage_bps / BPS) if side == "buy" else base * (1 - slippage_bps / BPS)


def cost_basis(terms: OrderTerms, *, ask: Decimal) -> Decimal:
    """What a buy has to be able to pay for a unit, before slippage, cushion and fee."""
    if terms.order_type in LIMITED:
        assert terms.limit_price is not None
        return terms.limit_price
    if terms.order_type == OrderType.TRAILING_STOP:
        return ask * _trail(terms)
    return _worse(terms.stop_price, ask, side="buy")


def collar_distance(terms: OrderTerms, *, side: str, execution: Decimal, reference_price: Decimal) -> Decimal:
    """Percent by which the execution is away from its reference; unknown stays NaN.

    A limit price that is better than the reference is harmless: such an order waits for it.
    """
    if execution.is_nan() or reference_price.is_nan():
        return Decimal("NaN")
    if reference_price <= 0:
        return Decimal("Infinity")
    away = (execution - reference_price) / reference_price * HUNDRED
    if terms.order_type not in LIMITED:
        return abs(away)
    return max(away if side == "buy" else -away, Decimal(0))


def _trail(terms: OrderTerms) -> Decimal:
    assert terms.trail_percentage is not None
    return 1 + terms.trail_percentage / HUNDRED


def _worse(stop_price: Decimal | None, market: Decimal, *, side: str) -> Decimal:
    """The stop price, unless the market is beyond it already; the other where one is unknown."""
    if stop_price is None:
        return market
    if market.is_nan():
        return stop_price
    return max(stop_price, market) if side == "buy" else min(stop_price, market)
