"""The journal's entries that tell of one trade."""

from datetime import timedelta

from django.db.models import Max, Q

from journal.models import Entry
from journal.selectors import with_alerts
from trading.models import AutoTrade

EVENTS_MAX = 200
# A trade's last event is recorded in the transaction that last changed it, which ends within seconds.
_RECORDED_WITHIN = timedelta(minutes=1)


def events_of(trade: AutoTrade) -> list[Entry]:
    """The decision and everything that happened to the trade, oldest first; at most EVENTS_MAX.

    Some of it carries market time and some database time, of which either may be ahead. A fill may be taken back long
    after the trade has ended, and that does not change when it was updated.
    """
    of_it = Q(kind__startswith="trade.") | Q(kind="entry.reversed")
    named = Q(of_it, payload__contains=f'"trade_id":"{trade.pk}"') | Q(
        kind="decision.made", payload__contains=f'"decision_id":"{trade.decision_id}"'
    )
    reversed_at = trade.executions.aggregate(newest=Max("reversed_at"))["newest"]
    last = trade.updated_at if reversed_at is None else max(trade.updated_at, reversed_at)
    entries = Entry.objects.filter(
        named,
        stream_id=trade.portfolio_id,
        at__gte=min(trade.market_at, trade.created_at) - _RECORDED_WITHIN,
        recorded_at__gte=trade.created_at,
        recorded_at__lte=last + _RECORDED_WITHIN,
    )
    return list(with_alerts(entries).order_by("seq")[:EVENTS_MAX])
