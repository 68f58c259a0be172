"""Machines whose clocks are seconds apart understand each other's messages, and somebody is told of the clock."""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError

from autotrading_project import messages
from autotrading_project.celery import app
from foundation import clock, wakeups
from foundation.clock import OWN_CLOCK, OwnClock, database_now
from foundation.models import Heartbeat
from foundation.wakeups import EXPIRES_SECONDS, wake
from tests.harness.processes import Processes
from trading.services.missing import clocks_off

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]
TASK = "trading.tasks.execute_due"
AHEAD_SECONDS = 20.0


@pytest.fixture(autouse=True)
def nothing_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_paused_until", 0.0)
    for name, value in vars(OwnClock()).items():
        monkeypatch.setattr(OWN_CLOCK, name, value)


def test_a_worker_whose_clock_is_ahead_does_what_it_is_sent_and_shows_its_clock(processes: Processes) -> None:
    arguments = (
        "-q -A autotrading_project worker -n ahead@%h -Q execution -c 1 --without-gossip --without-mingle"
    )
    command = [sys.executable, "-m", "tests.harness.worker_ahead", str(AHEAD_SECONDS), *arguments.split()]
    processes.start_command("ahead", command)

    def clock_is_shown() -> bool:
        wake(TASK, queue="execution")
        rows = Heartbeat.objects.filter(component="worker.execution")
        return rows.filter(clock_ahead_seconds__gt=AHEAD_SECONDS - 5).exists()

    processes.wait_for("ahead", clock_is_shown, pause=0.5)
    assert list(clocks_off().values()) == [pytest.approx(AHEAD_SECONDS, abs=5)]
    assert "clock_off" in processes.log("ahead")


@pytest.mark.parametrize("ahead_seconds", [-3600.0, -20.0, 20.0, 3600.0])
def test_whoever_sends_says_the_end_by_the_databases_clock(
    committed_db: object, settings: Any, monkeypatch: pytest.MonkeyPatch, ahead_seconds: float
) -> None:
    real, now = time.time, app.now
    monkeypatch.setattr(time, "time", lambda: real() + ahead_seconds)
    monkeypatch.setattr(app, "now", lambda: now() + timedelta(seconds=ahead_seconds))
    assert wake(TASK, queue="execution")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        message = client.lindex(f"{settings.REDIS_PREFIX}:execution", 0)
    end = datetime.fromisoformat(message.split(b'"expires": "')[1].split(b'"')[0].decode())  # type: ignore[union-attr]
    assert (end - database_now()).total_seconds() == pytest.approx(EXPIRES_SECONDS, abs=5)


@pytest.mark.parametrize("ahead_seconds", [0.0, 20.0, -20.0])
@pytest.mark.parametrize(("late_seconds", "done"), [(-30.0, True), (60.0, False)])
def test_what_comes_too_late_by_the_databases_clock_is_not_done(
    committed_db: object,
    monkeypatch: pytest.MonkeyPatch,
    ahead_seconds: float,
    late_seconds: float,
    done: bool,
) -> None:
    OWN_CLOCK.ahead_seconds = ahead_seconds
    OWN_CLOCK._next_comparison = time.monotonic() + 3600
    real, now = time.time(), datetime.now(UTC)
    monkeypatch.setattr(time, "time", lambda: real + ahead_seconds)
    task = app.tasks["foundation.tasks.show_beat_alive"]
    task.push_request(expires=(now - timedelta(seconds=late_seconds)).isoformat())
    try:
        task()
    finally:
        task.pop_request()
    assert Heartbeat.objects.filter(component="beat").exists() is done


def test_a_task_that_somebody_calls_has_no_end(committed_db: object) -> None:
    app.tasks["foundation.tasks.show_beat_alive"]()
    assert Heartbeat.objects.filter(component="beat").exists()


def test_without_the_database_what_was_known_of_the_clock_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> datetime:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(clock, "database_now", away)
    monkeypatch.setattr(OWN_CLOCK, "ahead_seconds", 7.0)
    headers = {"expires": "2026-03-02T14:30:07+00:00"}
    messages.expire_by_database_time(headers=headers)
    assert headers == {"expires": "2026-03-02T14:30:00+00:00"}
