"""The journal's entries that tell of one trade."""

from datetime import timedelta

from django.db.models import Q

from journal.models import Entry
from trading.models import AutoTrade

EVENTS_MAX = 200
# A trade's last event is recorded in the transaction that last changed it, which ends within seconds.
_RECORDED_WITHIN = timedelta(minutes=1)


def events_of(trade: AutoTrade) -> list[Entry]:
    """The decision and everything that happened to the trade, oldest first; at most EVENTS_MAX."""
    named = Q(kind__startswith="trade.", payload__contains=f'"trade_id":"{trade.pk}"') | Q(
        kind="decision.made", payload__contains=f'"decision_id":"{trade.decision_id}"'
    )
    entries = Entry.objects.filter(
        named,
        stream_id=trade.portfolio_id,
        at__gte=trade.market_at,
        recorded_at__gte=trade.created_at,
        recorded_at__lte=trade.updated_at + _RECORDED_WITHIN,
    )
    return list(entries.order_by("seq")[:EVENTS_MAX])
