"""Draining emergency stops: what is open in their scope is cancelled; drained is a stop when nothing in it is in flight
or works.

The halt key is taken exclusively once, for all halts that are known by then, so every paper batch that had not seen
them has ended. From then on nothing is sent. What works at a real broker is gone when that says so; `reduce_only`
cancels buys only.
"""

import uuid
from collections.abc import Sequence

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction

from foundation.clock import database_now
from journal.services.journal import append
from trading.core.halts import HALT_KEY
from trading.models import Halt
from trading.services.emergency_stop import halt_event, tell_armed
from trading.services.halted_orders import cancel_open_in, in_flight_in
from trading.services.stop_audience import note_armed

log = structlog.get_logger(__name__)


def drain_all() -> int:
    """Drain every halt that is not drained yet; returns how many are drained now. Safe to call at any time."""
    alike: dict[tuple[str, str, str], list[Halt]] = {}  # those that cover the same trades
    for halt in Halt.objects.filter(drained_at=None, released_at=None).order_by("armed_at", "id"):
        alike.setdefault((halt.scope, halt.scope_id, halt.mode), []).append(halt)
    if alike:
        _wait_for_batches()
    drained = 0
    for halts in alike.values():
        try:
            drained += len(halts) if _drain(halts) else 0
        except SoftTimeLimitExceeded:
            raise  # the worker's time is up; what is left is drained next time
        except Exception:  # one halt must not keep the others from being drained
            log.exception("draining_failed", halt_id=str(halts[0].id))
    for scope, scope_id in (
        Halt.objects.filter(journalled_at=None).values_list("scope", "scope_id").distinct()
    ):
        try:
            tell_armed(scope, scope_id)
        except SoftTimeLimitExceeded:
            raise
        except Exception:  # nor one journal the others from being told
            log.exception("telling_failed", scope=scope, scope_id=scope_id)
    return drained


def drain(*, halt_id: uuid.UUID) -> bool:
    """Cancel what is open in the halt's scope; True when nothing in it is in flight or works any more.

    A cancel that its broker has not confirmed yet keeps the halt undrained, as does a portfolio that could not be
    written; the cancels of all others are done meanwhile. A quarantined order does not: its broker
    cannot say, so nobody could wait for it; the wish to cancel it is kept, and carried out should it turn up.
    """
    halt = Halt.objects.get(pk=halt_id)
    _wait_for_batches()
    return _drain([halt])


def _wait_for_batches() -> None:
    """Until every paper batch has ended that may not have seen the halts that are committed now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL lock_timeout = 0"
        )  # it waits for running batches, each bounded by its own timeouts
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [HALT_KEY])


def _drain(halts: Sequence[Halt]) -> bool:
    """Of halts that cover the same trades; the first is told as the reason."""
    all_asked = cancel_open_in(halts[0])
    for halt in halts:
        note_armed(halt)
    if not all_asked or in_flight_in(halts[0]):
        return False
    _tell_drained(halts)
    return True


@transaction.atomic
def _tell_drained(halts: Sequence[Halt]) -> None:
    rows = Halt.objects.select_for_update(no_key=True).filter(pk__in=[halt.pk for halt in halts])
    undrained = list(rows.filter(drained_at=None).order_by("armed_at", "id"))
    now = database_now()
    Halt.objects.filter(pk__in=[halt.pk for halt in undrained]).update(drained_at=now)
    append([halt_event(halt, "halt.drained", now, "system") for halt in undrained])
