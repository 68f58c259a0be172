"""The market's revision: the one number that says "what is known of the past, or of calendars, has changed"."""

from django.db import connection


def bump() -> int:
    """Move it, in the caller's transaction, after its other writes; returns the new one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO market_marketrevision (singleton, revision) VALUES (true, 1)
            ON CONFLICT (singleton) DO UPDATE SET revision = market_marketrevision.revision + 1
            RETURNING revision
            """
        )
        (revision,) = cursor.fetchone()
    return int(revision)
