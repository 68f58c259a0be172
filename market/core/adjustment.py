"""Split and dividend adjustment of daily bars.

An unadjusted price halves on the day of a 2:1 split although nobody lost money: a stop-loss would sell.
Scaling by `adjusted close / close` makes a price's change from day to day the holder's total return.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

PRICE_PLACES = Decimal("0.00000001")
VOLUME_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class RawBar:
    """One day as traded. `adjusted_close` is `close` scaled for all later splits and dividends."""

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    adjusted_close: Decimal


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day in adjusted prices (8 decimals) and adjusted shares (4 decimals)."""

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def adjust(bar: RawBar) -> DayBar:
    """Scale the prices by `adjusted_close / close` and the volume by the inverse: traded value is kept.

    The close is scaled by the same factor as the rest (not taken from `adjusted_close`), so that rounding
    cannot lift it above the high. ValueError for a bar that is not positive or contradicts itself.
    """
    if min(bar.open, bar.high, bar.low, bar.close, bar.adjusted_close) <= 0 or bar.volume < 0:
        raise ValueError(f"{bar.symbol} {bar.day}: prices must be positive and the volume not negative")
    if bar.high < max(bar.open, bar.close) or bar.low > min(bar.open, bar.close):
        raise ValueError(f"{bar.symbol} {bar.day}: open and close must lie between low and high")
    factor = bar.adjusted_close / bar.close
    return DayBar(
        symbol=bar.symbol,
        day=bar.day,
        open=(bar.open * factor).quantize(PRICE_PLACES),
        high=(bar.high * factor).quantize(PRICE_PLACES),
        low=(bar.low * factor).quantize(PRICE_PLACES),
        close=(bar.close * factor).quantize(PRICE_PLACES),
        volume=(bar.volume / factor).quantize(VOLUME_PLACES),
    )
