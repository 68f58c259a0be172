"""Signs of life, one row for each component and process."""

import os
import socket

from django.db import connection

from foundation.version import code_version


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


def forget_older_than(*, hours: int) -> int:
    """Remove the rows of processes that are long gone; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM foundation_heartbeat WHERE at < clock_timestamp() - make_interval(hours => %s)",
            [hours],
        )
        return cursor.rowcount
