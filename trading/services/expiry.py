"""When an order ends by itself, in market time."""

from datetime import UTC, datetime

from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from market.selectors import close_after
from trading.core.orders import OrderTerms, TimeInForce


def expires_at(terms: OrderTerms, *, instrument: Instrument, snapshot: MarketSnapshot) -> datetime | None:
    """The close of the exchange's session that a day order belongs to; None: it works until it is cancelled.

    Decided on a trading day until its close, the close included, it is that day's; decided later, or on a day
    without a session, it is the next session's.
    """
    if terms.time_in_force == TimeInForce.GTC:
        return None
    place = snapshot.index(instrument.symbol)
    closes = float(snapshot.closes_at[place]) if place is not None else float("nan")
    if snapshot.as_of.timestamp() <= closes:
        return datetime.fromtimestamp(closes, UTC)
    return close_after(exchange=instrument.exchange_id, moment=snapshot.as_of, sessions=1)
