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
    at: datetime | None = None
    """market time of this very quote; None: the tick's"""


@dataclass(frozen=True, slots=True)
class BarTick:
    """A bar that completed at its time."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    at: datetime | None = None
    """market time of its completion; None: the tick's"""


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    """market time"""
    quotes: tuple[QuoteTick, ...]
    """those that are new; none at all says that time went on"""
    bars: tuple[BarTick, ...] = ()
    halted: frozenset[str] | None = None
    """all symbols whose trading is halted from now on; None: as before"""
