"""What tells of one trade: its fills, what was said with the broker, the journal's entries."""

from datetime import timedelta
from typing import Any

from django.db.models import Max, Q, QuerySet

from journal.models import Entry
from journal.selectors import with_alerts
from trading.models import AutoTrade

SHOWN_MAX = 200
# A trade's last event is recorded in the transaction that last changed it, which ends within seconds.
_RECORDED_WITHIN = timedelta(minutes=1)


def newest(rows: QuerySet[Any], by: str) -> list[Any]:
    """The last SHOWN_MAX in this order: of what goes on and on, how it stands matters more than how it began."""
    return list(rows.order_by(f"-{by}")[:SHOWN_MAX])[::-1]


def events_of(trade: AutoTrade) -> list[Entry]:
    """The decision and everything that happened to the trade, oldest first; the newest SHOWN_MAX.

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
    return newest(with_alerts(entries), "seq")
