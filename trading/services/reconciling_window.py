"""How far back a reconciliation asks its broker.

Orders and fills are asked for since the last reconciliation that succeeded, less some minutes. A
broker may tell late of what it did, so the first one of every hour looks back another day, and so does every one that
somebody asked for, and each while any difference is open: whoever trades much has thousands of orders a day, which
cannot be read every minute. After one that failed only what a person asks for does, until one has succeeded: it may
have asked for more than can be told in its time, and what that would have found, the next hour's first one finds. Fills
that could not be booked keep it from moving on. It never goes back beyond the time at which the account was connected
(where that is not known: its first order or first reconciliation): what somebody did there before is not ours to judge.
The broker's clock may differ from ours by five minutes.
"""

import contextlib
import uuid
from datetime import UTC, datetime, timedelta

from django.db.models import Max, Min, Q

from portfolios.models import BrokerAccount
from trading.models import AutoTrade, Reconciliation, ReconciliationBreak
from trading.services.reconciling import CLOCK_SLACK

Kind, Trigger = ReconciliationBreak.Kind, Reconciliation.Trigger
OVERLAP, OVERLAP_OF_AN_HOUR = timedelta(minutes=10), timedelta(days=1)


def window(account_id: uuid.UUID, row: Reconciliation) -> tuple[datetime, datetime]:
    """(since when things there are ours to judge, since when to ask); see above."""
    connected = BrokerAccount.objects.values_list("connected_at", flat=True).get(pk=account_id)
    since = connected or datetime.min.replace(tzinfo=UTC)
    done = Reconciliation.objects.filter(account_id=account_id, started_at__gte=since).aggregate(
        first=Min("started_at"),
        last=Max("started_at", filter=Q(finished_at__isnull=False, failure="")),
        failed=Max("started_at", filter=~Q(failure="")),
    )
    sent = AutoTrade.objects.filter(account_id=account_id, sent_at__gte=since).aggregate(at=Min("sent_at"))
    floor = connected or min(at for at in (done["first"], sent["at"], row.started_at) if at is not None)
    if done["last"] is None:
        return floor, floor - CLOCK_SLACK
    open_breaks = ReconciliationBreak.objects.filter(account_id=account_id, ended_at=None)
    differences = open_breaks.exclude(kind=Kind.BLOCKED)
    last = min([done["last"], *_unbooked(account_id)])
    is_first = _hour(row.started_at) != _hour(done["last"])
    has_failed = done["failed"] is not None and done["failed"] > done["last"]
    looks_far = row.trigger == Trigger.MANUAL or (not has_failed and (is_first or differences.exists()))
    overlap = OVERLAP_OF_AN_HOUR if looks_far else OVERLAP
    return floor, max(last - overlap, floor - CLOCK_SLACK)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _unbooked(account_id: uuid.UUID) -> list[datetime]:
    """When fills were executed that could not be booked, and when they were found: it may have been days later. Of
    other money, when it was found."""
    kinds = (Kind.EXECUTION, Kind.ACTIVITY)
    rows = ReconciliationBreak.objects.filter(account_id=account_id, kind__in=kinds, ended_at=None)
    times = list[datetime]()
    for found_at, told in rows.values_list("found_at", "theirs__at"):
        times.append(found_at)
        with contextlib.suppress(TypeError, ValueError):  # whatever a broker may have said
            at = datetime.fromisoformat(told)
            times += [at] if at.tzinfo is not None else []
    return times
