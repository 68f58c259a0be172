"""Which prices of a snapshot something may be valued at. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

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
    fresh = now_epoch - snapshot.price_received_at <= STALE_SECONDS
    return _prices_at(snapshot, fresh | ~snapshot.is_open)


def prices_of_any_age(snapshot: MarketSnapshot) -> LastPrices:
    """The last prices above 0, fresh or not: for what must be measured now or never."""
    return _prices_at(snapshot, np.True_)


def _prices_at(snapshot: MarketSnapshot, counts: NDArray[np.bool_] | np.bool_) -> LastPrices:
    places = np.flatnonzero((snapshot.column("price") > 0) & counts).tolist()  # NaN is not above 0
    known = {
        snapshot.instrument_ids[place]: found
        for place in places
        if (found := snapshot.price(snapshot.symbols[place])) is not None
    }
    return LastPrices(at=snapshot.as_of, instrument_ids=list(known), prices=list(known.values()))
