"""What is wrong with the numbers and the time of a quote or a bar by themselves.

A fault is a reason and its words; `(None, "")` when there is none. What passes fits the tables.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from market.core.adjustment import PRICE_PLACES, DayBar
from market.core.ticks import BarTick, QuoteTick

PRICE_LIMIT, VOLUME_LIMIT = Decimal(10) ** 12, Decimal(10) ** 15
PRICE_MAX = PRICE_LIMIT - PRICE_PLACES
FUTURE = timedelta(minutes=5)
"""how far market time may be ahead of the clock that received it: clocks differ, but a market stamped tomorrow would
stand still until then, for market time never goes back"""
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_SHOWN_CHARACTERS_MAX = 40


class Reason(StrEnum):
    UNKNOWN_SYMBOL = "unknown_symbol"
    MALFORMED = "malformed"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative"
    ZERO = "zero"
    OUT_OF_RANGE = "out_of_range"
    CROSSED = "crossed"
    INCOHERENT_BAR = "incoherent_bar"
    FUTURE = "future"
    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    JUMP = "jump"


Fault = tuple[Reason | None, str]


def bar_fault(bar: BarTick | DayBar) -> Fault:
    """What is wrong with the numbers of a bar by themselves."""
    fault = number_fault(prices_of(bar), bar.volume)
    if fault[0] is None and not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        return Reason.INCOHERENT_BAR, "open and close must lie between low and high"
    return fault


def quote_fault(quote: QuoteTick) -> Fault:
    fault = number_fault((("bid", quote.bid), ("ask", quote.ask), ("last", quote.last)), quote.volume)
    if fault[0] is None and quote.bid > quote.ask:
        return Reason.CROSSED, f"the bid {shown(quote.bid)} is above the ask {shown(quote.ask)}"
    return fault


def prices_of(bar: BarTick | DayBar) -> Sequence[tuple[str, Decimal]]:
    return (("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close))


def number_fault(prices: Sequence[tuple[str, Decimal]], volume: Decimal) -> Fault:
    if all(_is_price(value) for _, value in prices) and _is_volume(volume):
        return None, ""  # which is nearly always so, and each quote of each tick is asked
    for name, value in (*prices, ("volume", volume)):
        fault = _numeral_fault(name, value)
        if fault[0] is not None:
            return fault
    for name, value in prices:
        if value < PRICE_PLACES:
            return Reason.ZERO, f"{name} is {shown(value)}"
        if value > PRICE_MAX:
            return Reason.OUT_OF_RANGE, f"{name} is {shown(value)}, {PRICE_LIMIT} or more"
    if volume >= VOLUME_LIMIT:
        return Reason.OUT_OF_RANGE, f"volume is {shown(volume)}, {VOLUME_LIMIT} or more"
    return None, ""


def _is_price(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and PRICE_PLACES <= value <= PRICE_MAX


def _is_volume(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and 0 <= value < VOLUME_LIMIT


def _numeral_fault(name: str, value: object) -> Fault:
    if not isinstance(value, Decimal):
        return Reason.MALFORMED, f"{name} is no decimal number"
    if not value.is_finite():
        return Reason.NOT_FINITE, f"{name} is {value}"
    if value < 0:
        return Reason.NEGATIVE, f"{name} is {shown(value)}"
    return None, ""


def time_fault(at: datetime, latest: datetime) -> Fault:
    if at.tzinfo is None:
        return Reason.MALFORMED, "its time has no zone"
    if at < EARLIEST:
        return Reason.MALFORMED, f"its time {at.isoformat()} is before {EARLIEST.year}"
    if at > latest:
        return Reason.FUTURE, f"its time {at.isoformat()} is later than {latest.isoformat()}"
    return None, ""


def shown(value: object) -> str:
    """A number in full, but a monstrous one shortened."""
    if isinstance(value, Decimal) and value.is_finite():
        text = f"{value.normalize():f}" if -20 < value.adjusted() < 20 else str(value)
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"
