"""beat is told to end while it waits for the database."""

import threading

import pytest
from django.db import connection, connections, transaction

from tests.harness.processes import Processes

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration, pytest.mark.timeout(200)]


def test_a_beat_that_waits_for_the_database_ends_when_it_is_told_to(processes: Processes) -> None:
    processes.start("beat")
    processes.wait_for("beat", beat_has_looked)
    told, codes = threading.Event(), list[int]()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE django_celery_beat_periodictask, django_celery_beat_periodictasks")
        processes.wait_for("beat", beat_waits, pause=0.02)

        def end() -> None:
            told.set()
            codes.append(processes.stop("beat")["beat"])

        ending = threading.Thread(target=end)
        ending.start()
        told.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.5)")
    ending.join()
    assert codes == [0]


def beat_has_looked() -> bool:
    return _one("SELECT count(*) FROM django_celery_beat_periodictask WHERE last_run_at IS NOT NULL") > 0


def beat_waits() -> bool:
    return (
        _one(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
        )
        > 0
    )


def _one(query: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
