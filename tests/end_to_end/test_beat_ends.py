"""beat is told to end while it waits for the database, and waits for one that is away."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection, connections, transaction

from autotrading_project.patient_beat import RETRY_SECONDS
from tests.harness.databases import CommittedDatabase, as_owner
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


def test_a_beat_that_waits_for_its_first_schedule_ends_when_it_is_told_to(processes: Processes) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE django_celery_beat_periodictask, django_celery_beat_periodictasks")
        processes.start("beat")
        processes.wait_for("beat", beat_waits, pause=0.02)
        assert processes.stop("beat") == {"beat": -signal.SIGTERM}


def test_a_beat_that_starts_without_the_database_waits_for_it(
    processes: Processes, committed_db: CommittedDatabase
) -> None:
    with a_beat_without(committed_db, processes):
        time.sleep(4 * RETRY_SECONDS)
    processes.wait_for("beat", beat_has_looked)
    assert processes.log("beat").count("beat_waits_for_database") == 1


def test_a_beat_that_waits_for_an_absent_database_ends_when_it_is_told_to(
    processes: Processes, committed_db: CommittedDatabase
) -> None:
    with a_beat_without(committed_db, processes):
        assert processes.stop("beat") == {"beat": -signal.SIGTERM}


@contextlib.contextmanager
def a_beat_without(database: CommittedDatabase, processes: Processes) -> Iterator[None]:
    """It waits for a database to which nobody may connect; who is connected already stays."""
    connection.ensure_connection()
    as_owner("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name)
    try:
        processes.start("beat")
        processes.wait_for("beat", lambda: "beat_waits_for_database" in processes.log("beat"))
        yield
    finally:
        as_owner("ALTER DATABASE {} ALLOW_CONNECTIONS true", database.name)


def beat_has_looked() -> bool:
    return _one("SELECT count(*) FROM django_celery_beat_periodictask WHERE last_run_at IS NOT NULL") > 0


def beat_waits() -> bool:
    return (
        _one(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE NOT granted AND d.datname = current_database()"
        )
        > 0
    )


def _one(query: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
