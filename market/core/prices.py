"""Which prices of a snapshot something may be valued at. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from market.core.snapshot import MarketSnapshot

# Beyond this a price is not a fact any more. Orders have a tighter limit of their own (max_price_age_seconds).
STALE_SECONDS = 120.0


@dataclass(frozen=True)
class LastPrices:
    """At one market time, by instrument, in currency; an instrument whose price is not known is absent."""

    at: datetime
    instrument_ids: list[int]
    prices: list[Decimal]


def anything_fresh(snapshot: MarketSnapshot, *, now_epoch: float) -> bool:
    """Whether anything is quoted at all; `now_epoch` is database time."""
    return bool((now_epoch - snapshot.price_received_at <= STALE_SECONDS).any())


def last_prices(snapshot: MarketSnapshot, *, now_epoch: float) -> LastPrices:
    """Prices above 0 that are fresh, or the last ones of a market that is closed or of a symbol that is halted: these
    are what it is worth until it trades again. A price that has become stale while the market is open is not known."""
    price = snapshot.column("price")
    fresh = now_epoch - snapshot.price_received_at <= STALE_SECONDS
    places = np.flatnonzero((price > 0) & (fresh | ~snapshot.is_open)).tolist()  # NaN is not above 0
    known = {
        snapshot.instrument_ids[place]: found
        for place in places
        if (found := snapshot.price(snapshot.symbols[place])) is not None
    }
    return LastPrices(at=snapshot.as_of, instrument_ids=list(known), prices=list(known.values()))
