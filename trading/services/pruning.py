"""Forgetting what only the present needs, or what is kept for a while to be asked about: runs of slices, what
reservations and marks were, messages, signs of life, answers to repeated requests, and most of what portfolios were
worth on old days."""

from django.conf import settings

from foundation import heartbeats, idempotency
from portfolios.services.equity import thin_points
from portfolios.services.past import forget_past
from sessions.services.slices import close_empty_slices, prune_runs
from trading.services.order_messages import forget_messages
from trading.services.reconciliation import prune_reconciliations

KEEP_HOURS = 24
# Snapshots are forgotten in their own time: what is asked together with one goes after it.
MARGIN_MINUTES = 60
KEEP_MESSAGES_MINUTES = 10
KEEP_RECONCILIATIONS_DAYS = 7


def prune() -> int:
    """Returns how many rows went. Books, decisions and the journal are never pruned; of old days' equity a few points
    stay."""
    close_empty_slices()
    return (
        prune_runs(minutes=settings.SNAPSHOT_RETENTION_MINUTES + MARGIN_MINUTES)
        + forget_past(minutes=settings.SNAPSHOT_RETENTION_MINUTES + MARGIN_MINUTES)
        + forget_messages(minutes=KEEP_MESSAGES_MINUTES)
        + prune_reconciliations(days=KEEP_RECONCILIATIONS_DAYS)
        + heartbeats.forget_older_than(hours=KEEP_HOURS)
        + idempotency.forget_older_than(hours=KEEP_HOURS)
        + thin_points()
    )
