"""Forgetting what only the present needs: runs of slices, messages, signs of life, answers to repeated requests, and
most of what portfolios were worth on old days."""

from foundation import heartbeats, idempotency
from portfolios.services.equity import thin_points
from sessions.services.slices import close_empty_slices, prune_runs
from trading.services.order_messages import forget_messages
from trading.services.reconciliation import prune_reconciliations

KEEP_HOURS = 24
KEEP_MESSAGES_MINUTES = 10
KEEP_RECONCILIATIONS_DAYS = 7


def prune() -> int:
    """Returns how many rows went. Books, decisions and the journal are never pruned; of old days' equity a few points
    stay."""
    close_empty_slices()
    return (
        prune_runs()
        + forget_messages(minutes=KEEP_MESSAGES_MINUTES)
        + prune_reconciliations(days=KEEP_RECONCILIATIONS_DAYS)
        + heartbeats.forget_older_than(hours=KEEP_HOURS)
        + idempotency.forget_older_than(hours=KEEP_HOURS)
        + thin_points()
    )
