"""beat's schedule, when the database is away and when clocks were wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from autotrading_project import patient_beat
from autotrading_project.celery import app
from autotrading_project.patient_beat import PatientScheduler

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Database:
    """The library's one reading that nothing guards: `away` times it fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = 0
        reading = DatabaseScheduler.all_as_schedule

        def read(scheduler: DatabaseScheduler) -> Any:
            if self.away:
                self.away -= 1
                raise OperationalError("server closed the connection unexpectedly")
            return reading(scheduler)

        monkeypatch.setattr(DatabaseScheduler, "all_as_schedule", read)
        monkeypatch.setattr(patient_beat, "RETRY_SECONDS", 0.001)
        # Its connection is the test's, and closing that would end the test's transaction.
        monkeypatch.setattr(patient_beat.connection, "close", lambda: None)
        monkeypatch.setattr(patient_beat.signal, "signal", lambda signum, handler: None)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    yield Database(monkeypatch)


def task(name: str, **values: object) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=2, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name=name, task=name, interval=interval, **values)


def test_the_first_schedule_is_waited_for(database: Database) -> None:
    task("sweep")
    database.away = 5
    assert "sweep" in PatientScheduler(app=app).schedule


def test_the_schedule_of_before_is_kept_until_another_can_be_read(database: Database) -> None:
    task("sweep")
    scheduler = PatientScheduler(app=app)
    task("new")
    scheduler._last_full_sync -= timedelta(minutes=5)
    database.away = 2
    assert [sorted({"sweep", "new"} & set(scheduler.schedule)) for _ in range(3)] == [
        ["sweep"], ["sweep"], ["new", "sweep"],
    ]  # fmt: skip


def test_a_run_that_a_wrong_clock_has_noted_in_the_future_holds_nothing_up(database: Database) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    task("sweep", last_run_at=ahead)
    entry = PatientScheduler(app=app).schedule["sweep"]
    assert entry.is_due().next <= 2.0
    past = datetime.now(UTC) - timedelta(hours=2)
    task("old", last_run_at=past)
    assert PatientScheduler(app=app).schedule["old"].last_run_at == past
