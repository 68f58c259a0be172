"""Day orders that still work at a real broker when their day is long over.

Each broker ends them by itself, and tells. One that came to it after the close it keeps for the next day: it would be
executed at the next open, at a price that nobody has approved. So what has outlived its end is cancelled. Only where
its end is a time of the clock (`expiry.decided_live`): a broker's day is not that of a replay.
"""

from datetime import timedelta

from django.db.models import F

from foundation.clock import database_now
from market.services.feed_delay import is_real_feed
from portfolios.models import BrokerAccount
from trading.services.expiry import LIVE_WITHIN
from trading.services.split_orders import cancel_isolated, open_orders

# Until then the broker's own word is awaited, from its stream or from reconciliation.
OVER_FOR = timedelta(minutes=15)
OUTLIVED = "its day is over, and its broker has not ended it"


def cancel_outlived_orders() -> int:
    """Ask for the cancel of all of them; returns how many portfolios had some. Safe to call at any time."""
    outlived = open_orders().filter(expires_at__lt=database_now() - OVER_FOR)
    if not is_real_feed():
        outlived = outlived.filter(
            market_at__gte=F("created_at") - LIVE_WITHIN, market_at__lte=F("created_at") + LIVE_WITHIN
        )
    return cancel_isolated(outlived.exclude(account__broker=BrokerAccount.Broker.PAPER), OUTLIVED)
