"""Signs of life, one row for each component and process.

Each brings what the process knows of its machine's clock: what the exchange of the sign before has shown.
"""

import os
import socket
import time

import structlog
from django.db import Error, connection

from foundation.clock import OWN_CLOCK
from foundation.version import code_version

log = structlog.get_logger(__name__)
EVERY_SECONDS = 1.0
_next_signs: dict[str, float] = {}


def instance_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(*, component: str) -> None:
    """Note that this process is alive, in database time."""
    _sign(component, ended=False)


def end(*, component: str) -> None:
    """Note that this process ends because it was told to, so that nobody misses it. Where others of the component
    live, theirs are the last signs. It never raises: what ends must end."""
    try:
        _sign(component, ended=True)
    except Error as error:
        log.warning("end_not_noted", component=component, error=str(error).strip())


def _sign(component: str, *, ended: bool) -> None:
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO foundation_heartbeat (component, instance, code_version, at, ended, clock_ahead_seconds)
            VALUES (%s, %s, %s, clock_timestamp(), %s, %s)
            ON CONFLICT (component, instance)
            DO UPDATE SET at = excluded.at, code_version = excluded.code_version, ended = excluded.ended,
                          clock_ahead_seconds = excluded.clock_ahead_seconds
            RETURNING extract(epoch FROM at)::float8
            """,
            [component, instance_name(), code_version(), ended, OWN_CLOCK.ahead_seconds],
        )
        (theirs,) = cursor.fetchone()
    OWN_CLOCK.note(before=before, after=time.time(), theirs=theirs)


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
