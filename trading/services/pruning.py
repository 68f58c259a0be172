"""Forgetting what only the present needs: runs of slices, signs of life, answers to repeated requests."""

from foundation import heartbeats, idempotency
from sessions.services.slices import prune_runs

KEEP_HOURS = 24


def prune() -> int:
    """Returns how many rows went. Books, decisions and the journal are never pruned."""
    return (
        prune_runs()
        + heartbeats.forget_older_than(hours=KEEP_HOURS)
        + idempotency.forget_older_than(hours=KEEP_HOURS)
    )
