"""Leases with fencing numbers: at most one holder, and a former holder's number is stale for ever."""

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
