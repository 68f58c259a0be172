"""Signs of life, one row for each component and process."""

import os
import socket
import time

from django.db import connection

from foundation.version import code_version

EVERY_SECONDS = 1.0
_next_signs: dict[str, float] = {}


def instance_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(*, component: str) -> None:
    """Note that this process is alive, in database time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO foundation_heartbeat (component, instance, code_version, at)
            VALUES (%s, %s, %s, clock_timestamp())
            ON CONFLICT (component, instance)
            DO UPDATE SET at = excluded.at, code_version = excluded.code_version
            """,
            [component, instance_name(), code_version()],
        )


def beat_if_due(*, component: str) -> None:
    """The same, but at most once a second: a sign is a commit, and a task that is woken by each tick has better to
    do than to wait for the disk."""
    now = time.monotonic()
    if now >= _next_signs.get(component, 0.0):
        beat(component=component)
        _next_signs[component] = now + EVERY_SECONDS


def ages_seconds() -> dict[str, float]:
    """Database time since any process of a component was last heard; without those that were forgotten."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT component, extract(epoch FROM clock_timestamp() - max(at))::float"
            " FROM foundation_heartbeat GROUP BY component ORDER BY component"
        )
        return dict(cursor.fetchall())


def forget_older_than(*, hours: int) -> int:
    """Remove the rows of processes that are long gone; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM foundation_heartbeat WHERE at < clock_timestamp() - make_interval(hours => %s)",
            [hours],
        )
        return cursor.rowcount
