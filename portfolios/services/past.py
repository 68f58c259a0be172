"""Forgetting what reservations and marks were, and what changed, once nobody can ask about it any more."""

from django.db import connection

from portfolios.changes import KEEP_MINUTES
from portfolios.models.changes import PortfolioChange
from portfolios.models.past import Past, PastPortfolioMark, PastPositionMark, PastReservation

PRUNE_BATCH = 5_000
PRUNE_BATCHES_MAX = 200
_TABLES: tuple[type[Past], ...] = (PastReservation, PastPortfolioMark, PastPositionMark)


def forget_past(*, minutes: float) -> int:
    """Delete what was replaced longer ago (database time); returns how many rows."""
    return sum(_forget(model._meta.db_table, "until", minutes) for model in _TABLES)


def forget_changes() -> int:
    """Delete what everybody has looked at by now, or keeps nothing; returns how many rows."""
    return _forget(PortfolioChange._meta.db_table, "created_at", KEEP_MINUTES)


def _forget(table: str, at: str, minutes: float) -> int:
    """In batches with a bound, so that no statement runs long; the rest is for the next time."""
    removed = 0
    for _ in range(PRUNE_BATCHES_MAX):
        gone = _forget_batch(table, at, minutes)
        removed += gone
        if gone < PRUNE_BATCH:
            break
    return removed


def _forget_batch(table: str, at: str, minutes: float) -> int:
    """The oldest rows are looked at only: they are in the order of their time, but for seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            DELETE FROM {table} WHERE id IN (
                SELECT id FROM (SELECT id, {at} AS at FROM {table} ORDER BY id LIMIT %s) AS oldest
                WHERE at < clock_timestamp() - make_interval(secs => %s)
            )
            """,  # noqa: S608 - the names of our tables
            [PRUNE_BATCH, minutes * 60],
        )
        return cursor.rowcount
