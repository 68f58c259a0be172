"""What an order asks of the market: its type, its prices and how long it works. The same words for every broker.

market         at once, at what the market gives
limit          at `limit_price` or better
stop           a market order once the price has reached `stop_price`
stop_limit     a limit order once the price has reached `stop_price`
trailing_stop  a stop that follows the best price since the order began, `trail_percentage` behind it

day            until the exchange's close; decided after it, until the next one
gtc            until it is filled or cancelled, by its broker perhaps (Alpaca: after 90 days)
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from foundation.core.money import PLACES
from foundation.core.quick import quick_init

PRICE_MAX = Decimal(10) ** 12  # the columns end there
# Every client order id that we give begins so: at a broker it tells ours from others.
CLIENT_ID_PREFIX = "at-"
TRAIL_PERCENTAGE_MAX = Decimal(100)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"


# Order type -> the terms that it needs; every other must be absent.
NEEDS: dict[OrderType, frozenset[str]] = {
    OrderType.MARKET: frozenset(),
    OrderType.LIMIT: frozenset({"limit_price"}),
    OrderType.STOP: frozenset({"stop_price"}),
    OrderType.STOP_LIMIT: frozenset({"limit_price", "stop_price"}),
    OrderType.TRAILING_STOP: frozenset({"trail_percentage"}),
}
_TERMS = ("limit_price", "stop_price", "trail_percentage")


@quick_init
@dataclass(frozen=True)
class OrderTerms:
    """Prices in currency per unit, trail_percentage in percent of the price (above 0, below 100)."""

    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_percentage: Decimal | None = None

    @property
    def rests(self) -> bool:
        """Whether it waits in the market for a price, so that another order may meet it there."""
        return self.order_type != OrderType.MARKET


MARKET_DAY = OrderTerms()


def told(terms: OrderTerms) -> str:
    """What follows "buy 10 AAPL" in a sentence: empty for a market order of the day."""
    parts = {
        "at": terms.stop_price if terms.order_type != OrderType.LIMIT else terms.limit_price,
        "limit": terms.limit_price if terms.order_type == OrderType.STOP_LIMIT else None,
    }
    words = [f"{word} {price.normalize():f}" for word, price in parts.items() if price is not None]
    if terms.trail_percentage is not None:
        words.append(f"{terms.trail_percentage.normalize():f} % behind the best price")
    if terms.order_type != OrderType.MARKET:
        words.insert(0, terms.order_type.replace("_", " "))
    if terms.time_in_force == TimeInForce.GTC:
        words.append("until cancelled")
    return "".join(f" {word}" for word in words)


def term_faults(terms: OrderTerms, *, tick: Decimal) -> list[dict[str, str]]:
    """A fault for each term that is missing, too much, out of range or off the tick: path, message, suggestion."""
    faults = []
    needed = NEEDS[terms.order_type]
    for name in _TERMS:
        value: Decimal | None = getattr(terms, name)
        if value is None and name in needed:
            faults.append(_fault(name, f"A {terms.order_type} order needs it.", "Give it as text."))
        elif value is not None and name not in needed:
            faults.append(_fault(name, f"A {terms.order_type} order has none.", "Leave it out."))
        elif value is not None:
            faults += _value_faults(name, value, tick)
    return faults


def _value_faults(name: str, value: Decimal, tick: Decimal) -> list[dict[str, str]]:
    if name == "trail_percentage":
        if value.is_finite() and 0 < value < TRAIL_PERCENTAGE_MAX and value == value.quantize(PLACES):
            return []
        return [_fault(name, "It must be a number above 0 and below 100.", "Percent behind the best price.")]
    if not value.is_finite() or not 0 < value < PRICE_MAX:
        return [_fault(name, "It must be a number above 0 and below 10^12.", "Currency per unit.")]
    if value % tick:
        below = max(to_tick(value, tick, up=False), tick)
        return [
            _fault(
                name,
                f"It must be a multiple of the tick, which is {tick.normalize():f}.",
                f"The nearest below is {below.normalize():f}.",
            )
        ]
    return []


def _fault(path: str, message: str, suggestion: str) -> dict[str, str]:
    return {"path": path, "message": message, "suggestion": suggestion}


def to_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """The nearest multiple of the tick above or below."""
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return ((price / tick).quantize(Decimal(1), rounding=rounding) * tick).quantize(PLACES)
