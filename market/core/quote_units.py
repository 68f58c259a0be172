"""Quotes of before a split in the units of after it. Pure.

A symbol that has not been quoted since a split keeps its last price, and what is held of it counts in new units as soon
as the split is booked. A price in old units would then double what it is worth, be noted as a peak that never was, and
sell everything at the first quote in new units.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from market.core.adjustment import PRICE_PLACES
from market.core.calendar import ExchangeCalendar
from market.core.quote_checks import Split
from market.core.ticks import QuoteTick

UNKNOWN = Decimal("NaN")


def in_units_of(
    quote: QuoteTick, *, at: datetime, splits: Iterable[Split], calendar: ExchangeCalendar | None
) -> QuoteTick:
    """The same quote, which has a time of its own, in the units of market time `at`: another object where a split came
    in between.

    On the day of a split, before its ex time, real markets quote in new units already (before the open), and replayed
    ones in old units. Where nobody can tell the prices are NaN, that is unknown, until it is quoted again.
    """
    assert quote.at is not None
    prices = quote.bid, quote.ask, quote.last
    since = [split for split in splits if quote.at < split.at <= at]
    if not since:
        return quote
    for split in since:
        is_told = calendar is not None and _is_in_old_units(quote.at, split, calendar)
        factor = Decimal(split.old_units) / split.new_units if is_told else UNKNOWN
        prices = prices[0] * factor, prices[1] * factor, prices[2] * factor
    bid, ask, last = (price if price.is_nan() else price.quantize(PRICE_PLACES) for price in prices)
    return replace(quote, bid=bid, ask=ask, last=last)


def _is_in_old_units(at: datetime, split: Split, calendar: ExchangeCalendar) -> bool:
    """Whether it is of a day before the split's at the exchange, or of trading hours before it."""
    return calendar.day_of(at) < calendar.day_of(split.at) or calendar.is_open(at)
