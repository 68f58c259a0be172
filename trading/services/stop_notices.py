"""Telling portfolios, in their own journals, of stops that are wider than each of them (`stop_audience`)."""

from collections.abc import Sequence

import structlog
from django.db import connection, transaction
from django.db.models import Q

from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from trading.models import HaltNotice
from trading.services.emergency_stop import armed_event, released_event
from trading.services.isolating import on_their_own

log = structlog.get_logger(__name__)
BATCH_ROWS_MAX = 200
# So long a batch waits for a busy journal; then each portfolio is told by itself.
LOCK_TIMEOUT_MS = 250
_DUE = Q(armed_due=True) | Q(released_due=True)


def tell_portfolios() -> None:
    """Tell whoever is still to hear. Safe to call at any time, by several at once.

    Each is told in the transaction that takes its row, so once; one whose journal is busy is told by the next sweep.
    """
    after = 0
    while True:
        due = HaltNotice.objects.filter(_DUE, pk__gt=after).order_by("pk").values_list("pk", flat=True)
        ids = list(due[:BATCH_ROWS_MAX])
        if not ids:
            return
        failed = on_their_own(ids, _tell)
        if failed:
            log.warning("portfolios_not_told", rows=len(failed), first=repr(next(iter(failed.values()))))
        after = ids[-1]


@transaction.atomic
def _tell(ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])
    rows = HaltNotice.objects.select_for_update(skip_locked=True, of=("self",)).filter(_DUE, pk__in=ids)
    notices = list(rows.select_related("halt__armed_by", "halt__released_by").order_by("pk"))
    over = [notice.pk for notice in notices if notice.released_due]
    HaltNotice.objects.filter(pk__in=over).delete()
    HaltNotice.objects.filter(pk__in=[notice.pk for notice in notices]).update(armed_due=False)
    append([event for notice in notices for event in _events(notice)])


def _events(notice: HaltNotice) -> list[Event]:
    halt, events = notice.halt, []
    if notice.armed_due:
        events.append(armed_event(halt, halt.armed_at))
    if notice.released_due:
        assert halt.released_at is not None
        events.append(released_event(halt, halt.released_at))
    return [_in_stream_of(notice, event) for event in events]


def _in_stream_of(notice: HaltNotice, event: Event) -> Event:
    """The operators hear of it from the platform's alert: they are not told of it once more for each portfolio."""
    assert event.alert is not None
    alert = AlertSpec(event.alert.severity, event.alert.message, delivered=False)
    return Event(notice.portfolio_id, event.kind, event.at, event.payload, alert)
