"""What a provider hands to the feed: everything that became known at one market time."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class QuoteTick:
    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    volume: Decimal
    """shares traded so far in this session, as far as the provider knows"""


@dataclass(frozen=True, slots=True)
class BarTick:
    """A bar that is completed at the tick's time."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    """market time"""
    quotes: tuple[QuoteTick, ...]
    bars: tuple[BarTick, ...] = ()
