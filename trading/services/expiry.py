"""When an order ends by itself: in market time, and in a live market by the clock, too."""

from datetime import UTC, datetime, timedelta

from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from market.selectors import close_after
from market.services.feed_delay import is_real_feed
from trading.core.orders import OrderTerms, TimeInForce
from trading.models import AutoTrade

# A market of no real feed is live while its newest snapshot is no further from database time than this.
LIVE_WITHIN = timedelta(minutes=15)
# What is sent later than so long before the close may arrive after it.
ON_ITS_WAY = timedelta(seconds=2)


def is_live(*, as_of: datetime, now: datetime) -> bool:
    """Whether a market time is that of the clock, and not a replay's: a real feed's is, however late it tells it,
    or how long it has told nothing. now: database time."""
    return is_real_feed() or abs(now - as_of) <= LIVE_WITHIN


def decided_live(trade: AutoTrade) -> bool:
    """Whether the close at which it ends is one of the clock."""
    return is_live(as_of=trade.market_at, now=trade.created_at)


def is_over(trade: AutoTrade, *, as_of: datetime, now: datetime) -> bool:
    """Whether a day order's day is over. Market time moves with quotes and may lag behind the clock, and what a broker
    gets after the close it keeps for the next open. as_of: market time; now: database time."""
    if trade.expires_at is None:
        return False
    return as_of >= trade.expires_at or (decided_live(trade) and now >= trade.expires_at - ON_ITS_WAY)


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
