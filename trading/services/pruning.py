"""Forgetting what only the present needs: runs of slices, messages, signs of life, answers to repeated requests."""

from foundation import heartbeats, idempotency
from sessions.services.slices import prune_runs
from trading.services.order_messages import forget_messages

KEEP_HOURS = 24
KEEP_MESSAGES_MINUTES = 10


def prune() -> int:
    """Returns how many rows went. Books, decisions and the journal are never pruned."""
    return (
        prune_runs()
        + forget_messages(minutes=KEEP_MESSAGES_MINUTES)
        + heartbeats.forget_older_than(hours=KEEP_HOURS)
        + idempotency.forget_older_than(hours=KEEP_HOURS)
    )
