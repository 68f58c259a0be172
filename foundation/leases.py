"""Leases with fencing numbers: at most one holder, and a former holder's number is stale for ever."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class HeldLease:
    name: str
    holder: str
    fence: int


def acquire(*, name: str, holder: str, seconds: float) -> HeldLease | None:
    """Take the lease if it is free or expired (database time), else None. Each new holder raises the fence."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO foundation_lease AS held (name, holder, fence, expires_at)
            VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
            ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder, fence = held.fence + 1, expires_at = excluded.expires_at
                WHERE held.expires_at < clock_timestamp() OR held.holder = excluded.holder
            RETURNING fence
            """,
            {"name": name, "holder": holder, "seconds": seconds},
        )
        row = cursor.fetchone()
    return HeldLease(name=name, holder=holder, fence=row[0]) if row else None


def renew(lease: HeldLease, *, seconds: float) -> bool:
    """Prolong it; False when somebody else holds it by now. Inside a transaction it also keeps others out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE foundation_lease SET expires_at = clock_timestamp() + make_interval(secs => %s)
            WHERE name = %s AND holder = %s AND fence = %s
            """,
            [seconds, lease.name, lease.holder, lease.fence],
        )
        return cursor.rowcount == 1


def release(lease: HeldLease) -> None:
    """Give it back at once, so that the next holder need not wait for its expiry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE foundation_lease SET expires_at = clock_timestamp() WHERE name = %s AND holder = %s AND fence = %s",
            [lease.name, lease.holder, lease.fence],
        )


def renew_all(held: Sequence[HeldLease], *, seconds: float) -> set[str]:
    """Prolong many of one holder; the names of those that somebody else holds by now.

    A row that a transaction of the holder has locked is left to that: it renews it by itself, and who renews many must
    not wait for one.
    """
    if not held:
        return set()
    names, fences, holder = [lease.name for lease in held], [lease.fence for lease in held], held[0].holder
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mine AS (
                SELECT l.name FROM foundation_lease l
                JOIN unnest(%s::text[], %s::bigint[]) AS u (name, fence) ON u.name = l.name AND u.fence = l.fence
                WHERE l.holder = %s ORDER BY l.name FOR NO KEY UPDATE OF l SKIP LOCKED)
            UPDATE foundation_lease AS l SET expires_at = clock_timestamp() + make_interval(secs => %s)
            FROM mine WHERE l.name = mine.name
            """,
            [names, fences, holder, seconds],
        )
        cursor.execute(
            """
            SELECT u.name FROM unnest(%s::text[], %s::bigint[]) AS u (name, fence)
            WHERE NOT EXISTS (
                SELECT FROM foundation_lease l WHERE l.name = u.name AND l.fence = u.fence AND l.holder = %s)
            """,
            [names, fences, holder],
        )
        return {row[0] for row in cursor.fetchall()}
