"""A deterministic bid and ask for data that has only prices.

Daily bars carry no quotes. A paper broker that filled at the last price would trade for free, so the replay
puts a half spread of 2 basis points on either side, about what large US stocks cost, and rounds outwards to
the tick: the spread is never narrower than said.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

HALF_SPREAD = Decimal("0.0002")


@dataclass(frozen=True, slots=True)
class SyntheticQuote:
    bid: Decimal
    ask: Decimal
    last: Decimal


def _to_tick(price: Decimal, tick_size: Decimal, rounding: str) -> Decimal:
    return (price / tick_size).to_integral_value(rounding=rounding) * tick_size


def synthetic_quote(price: Decimal, *, tick_size: Decimal) -> SyntheticQuote:
    """Bid ≤ last ≤ ask around `price`, all tradable (multiples of the tick) and at least one tick."""
    last = max(_to_tick(price, tick_size, ROUND_HALF_EVEN), tick_size)
    bid = max(_to_tick(last * (1 - HALF_SPREAD), tick_size, ROUND_FLOOR), tick_size)
    ask = _to_tick(last * (1 + HALF_SPREAD), tick_size, ROUND_CEILING)
    return SyntheticQuote(bid=bid, ask=ask, last=last)
