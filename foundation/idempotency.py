"""Keys of repeated requests; see foundation.api.idempotency for what they are for."""

from django.db import connection


def forget_older_than(*, hours: int) -> int:
    """Remove keys whose stored answer is no longer promised; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM foundation_idempotencykey WHERE created_at < clock_timestamp() - make_interval(hours => %s)",
            [hours],
        )
        return cursor.rowcount
