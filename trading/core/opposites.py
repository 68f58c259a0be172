"""Own orders on two sides of one symbol, and the brokers that reject the second by their types alone. Pure.

Alpaca's table ("Preventing Wash Trades", docs.alpaca.markets/docs/user-protection): a market or stop order is rejected
beside any order of the other side, and any order beside one, however far apart their prices are; of two that have a
limit price (limit, stop-limit) the prices are compared; trailing stops are exempt.
"""

from decimal import Decimal
from typing import NamedTuple

from trading.core.order_prices import LIMITED
from trading.core.orders import OrderType


class OfSide(NamedTuple):
    """What counts of an order: `limit_price` is that of the types in LIMITED."""

    side: str
    order_type: str
    limit_price: Decimal | None


def both_limited(*orders: OfSide) -> bool:
    return all(order.order_type in LIMITED for order in orders)


def are_rejected_by_type(one: OfSide, other: OfSide) -> bool:
    """Whether their types are enough, if they are on two sides: whatever their prices."""
    trails = OrderType.TRAILING_STOP in (one.order_type, other.order_type)
    return one.side != other.side and not trails and not both_limited(one, other)


def are_crossed(one: OfSide, other: OfSide) -> bool:
    """Whether two that have limit prices, on two sides, would be filled by each other."""
    buy, sell = (one, other) if one.side == "buy" else (other, one)
    assert buy.limit_price is not None and sell.limit_price is not None
    return one.side != other.side and buy.limit_price >= sell.limit_price


def must_wait_for(mine: OfSide, other: OfSide, *, leaves: bool) -> bool:
    """Whether one that is to be sent to such a broker waits for another that is there. leaves: its cancel is under
    way; until it is over, nothing is sent that it might meet."""
    if both_limited(mine, other):
        return are_crossed(mine, other)
    return are_rejected_by_type(mine, other) or (leaves and mine.side != other.side)
