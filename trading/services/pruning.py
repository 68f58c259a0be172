"""Forgetting what only the present needs, or what is kept for a while to be asked about: runs of slices, what
reservations and marks were, which portfolios changed, messages, signs of life, answers to repeated requests, and most
of what portfolios were worth on old days."""

from collections.abc import Callable
from functools import partial

import structlog
from django.conf import settings
from django.db import connection

from foundation import heartbeats, idempotency
from portfolios.services.equity import thin_points
from portfolios.services.past import forget_changes, forget_past
from sessions.services.slices import close_empty_slices, prune_runs
from trading.services.order_messages import forget_messages
from trading.services.reconciliation import prune_reconciliations

log = structlog.get_logger(__name__)

KEEP_HOURS = 24
# Snapshots are forgotten in their own time: what is asked together with one goes after it.
MARGIN_MINUTES = 60
KEEP_MESSAGES_MINUTES = 10
KEEP_RECONCILIATIONS_DAYS = 7


def prune() -> int:
    """Returns how many rows went. Books, decisions and the journal are never pruned; of old days' equity a few points
    stay.

    Each part for itself: one that fails keeps the others from nothing, or their tables would grow for ever. The first
    failure is raised in the end.
    """
    kept = settings.SNAPSHOT_RETENTION_MINUTES + MARGIN_MINUTES
    parts: list[Callable[[], object]] = [
        close_empty_slices,
        partial(prune_runs, minutes=kept),
        partial(forget_past, minutes=kept),
        forget_changes,
        partial(forget_messages, minutes=KEEP_MESSAGES_MINUTES),
        partial(prune_reconciliations, days=KEEP_RECONCILIATIONS_DAYS),
        partial(heartbeats.forget_older_than, hours=KEEP_HOURS),
        partial(idempotency.forget_older_than, hours=KEEP_HOURS),
        thin_points,
    ]
    removed, failures = 0, list[Exception]()
    for part in parts:
        try:
            gone = part()
        except Exception as error:
            connection.close_if_unusable_or_obsolete()
            log.exception("pruning_failed", part=str(part))
            failures.append(error)
        else:
            removed += gone if isinstance(gone, int) and part is not close_empty_slices else 0
    if failures:
        raise failures[0]
    return removed
