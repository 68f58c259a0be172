"""A person is told of processes that are heard of no more, and of machines whose clocks are wrong; once, and not of
what somebody ended or what merely had nothing to do."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import OperationalError

from autotrading_project.workers import say_goodbye
from foundation import heartbeats
from foundation.clock import database_now
from foundation.models import Heartbeat
from journal.models import Alert
from market.feed.runner import StopFlag
from tests.harness.trading import Desk
from trading.models import Halt
from trading.services import missing, watching
from trading.services.missing import PROCESSES, ProcessWatch
from trading.services.streams import StreamsRunner
from trading.services.watching import PlatformWatch, watch_breakers, watch_platform

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("market")]
HOUR = 3600.0
EVERYBODY = (
    "feed", "beat", "worker.evaluation", "worker.execution", "worker.broker", "worker.notification", "streams",
)  # fmt: skip


def ago(seconds: float) -> datetime:
    return database_now() - timedelta(seconds=seconds)


def heard(*components: str, seconds: float = 0.0, ended: bool = False, instance: str = "host:1") -> None:
    """Their last signs are so old."""
    for component in components:
        Heartbeat.objects.update_or_create(
            component=component, instance=instance,
            defaults={"at": ago(seconds), "ended": ended, "code_version": "1"},
        )  # fmt: skip


@pytest.fixture
def watch() -> ProcessWatch:
    """Of a process that has looked for an hour, and heard beat all the time; everybody is there."""
    made = ProcessWatch()
    made.looked_at, made.since, made.beat_since = database_now(), ago(HOUR), ago(HOUR)
    heard(*EVERYBODY)
    return made


def told() -> list[str]:
    rows = Alert.objects.filter(kind="process.missing", severity="critical").order_by("seq")
    return [message.split()[3] for message in rows.values_list("message", flat=True)]


def test_nobody_is_missed_who_is_heard(watch: ProcessWatch) -> None:
    heard(*EVERYBODY, seconds=10)
    watch.look()
    assert told() == []


@pytest.mark.parametrize(
    "component", ["feed", "beat", "worker.evaluation", "worker.broker", "worker.notification"]
)
def test_whoever_is_not_heard_for_half_a_minute_is_missed_once(watch: ProcessWatch, component: str) -> None:
    heard(component, seconds=28)
    watch.look()
    assert told() == []
    heard(component, seconds=31)
    watch.look()
    watch.look()
    assert told() == [component]
    alert = Alert.objects.get()
    assert missing.LEFT_UNDONE[component] in alert.message


def test_while_beat_is_silent_deliveries_are_tried_again_without_it(
    watch: ProcessWatch, committed_db: object, settings: Any
) -> None:
    """A receiver may have been away when the alert was new, and it is beat that sends the next try."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        heard("beat", seconds=31)
        watch.look()
        client.delete(f"{settings.REDIS_PREFIX}:notification")
        watch.look()
        (message,) = client.lrange(f"{settings.REDIS_PREFIX}:notification", 0, -1)
        assert b"journal.tasks.deliver_alerts" in message
        client.delete(f"{settings.REDIS_PREFIX}:notification")
        heard("beat")
        watch.look()
        assert client.llen(f"{settings.REDIS_PREFIX}:notification") == 0


def test_the_process_that_follows_brokers_notices_without_being_called(
    watch: ProcessWatch, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No market data comes, and beat is dead: nobody is called any more."""
    platform, stop = PlatformWatch(), StopFlag()
    platform.since = ago(HOUR)
    monkeypatch.setattr(watching, "WATCH", platform)
    monkeypatch.setattr(watching, "PROCESSES", watch)
    heard("beat", seconds=61)
    StreamsRunner(stop=stop, sleep=lambda seconds: stop.request()).run()
    assert told() == ["beat"]
    assert Halt.objects.get().armed_by_breaker == "beat_silence"


def test_the_next_silence_is_told_again(watch: ProcessWatch) -> None:
    heard("worker.broker", seconds=40)
    watch.look()
    Alert.objects.update(created_at=ago(600))
    heard("worker.broker", seconds=31)
    watch.look()
    assert told() == ["worker.broker"] * 2


def test_who_was_never_heard_is_not_missed(watch: ProcessWatch) -> None:
    Heartbeat.objects.exclude(component="beat").delete()
    watch.look()
    assert told() == []


def test_one_process_less_of_a_kind_is_no_news_and_the_last_one_is(watch: ProcessWatch) -> None:
    heard("worker.broker", seconds=600)
    heard("worker.broker", instance="other:7")
    watch.look()
    assert told() == []
    heard("worker.broker", seconds=31, instance="other:7")
    watch.look()
    assert told() == ["worker.broker"]


def test_who_ended_as_he_was_told_to_is_not_missed(watch: ProcessWatch) -> None:
    heard("worker.broker", "feed", "beat", seconds=600)
    heard("worker.broker", "feed", "beat", seconds=590, ended=True, instance="host:2")
    watch.look()
    assert told() == []
    heard("worker.broker", "feed", seconds=31, instance="other:7")  # who has lived on, and died since
    watch.beat_since = ago(HOUR)
    heard("beat")
    watch.look()
    assert told() == ["feed", "worker.broker"]


@pytest.mark.parametrize(("seconds_after", "missed"), [(4, []), (6, ["beat"])])
def test_what_beat_had_sent_before_its_end_is_no_sign_that_it_lives(
    watch: ProcessWatch, seconds_after: float, missed: list[str]
) -> None:
    heard("beat", seconds=100, ended=True, instance="beat:1")
    heard("beat", seconds=100 - seconds_after)  # by the worker that carried it out
    watch.look()
    assert told() == missed


def test_of_workers_that_nobody_calls_nothing_is_concluded(watch: ProcessWatch) -> None:
    heard("beat", "worker.evaluation", "worker.execution", "worker.broker", seconds=100)
    watch.look()
    assert told() == ["beat"], "they had nothing to do"
    heard("beat")
    watch.look()
    assert told() == ["beat"], "it is back, and they have not been called yet"
    watch.beat_since = ago(31)
    watch.look()
    assert told() == ["beat", "worker.evaluation", "worker.broker"]


def test_without_its_worker_that_somebody_ended_beat_cannot_be_heard(watch: ProcessWatch) -> None:
    heard("beat", seconds=100)
    heard("worker.execution", seconds=95, ended=True)
    watch.look()
    assert told() == []


def test_after_an_outage_everybody_gets_the_time_to_show_himself(watch: ProcessWatch) -> None:
    heard(*EVERYBODY, seconds=300)
    watch.looked_at = ago(16)
    watch.look()
    assert told() == []
    watch.since = ago(31)
    watch.look()
    assert told() == ["feed", "beat"]


def test_a_process_that_is_new_gives_everybody_the_time(watch: ProcessWatch) -> None:
    heard("feed", "worker.broker", seconds=HOUR)
    new = ProcessWatch()
    new.look()
    assert told() == []
    watch.look()
    assert told() == ["feed", "worker.broker"]


def test_workers_look_and_so_does_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr(PROCESSES, "look", lambda: looks.append("one"))
    for look in (watch_platform, watch_breakers):
        monkeypatch.setattr(PROCESSES, "_next_look", 0.0)
        look()
        look()  # within five seconds
    assert len(looks) == 2


def test_who_cannot_look_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(missing, "last_signs", fail)
    ProcessWatch().look_if_due()


# --- ends ----------------------------------------------------------------------------------------------


def worker_of(queues: list[str], exitcode: int | None) -> SimpleNamespace:
    """As Celery gives it when it shuts down."""
    consumed = SimpleNamespace(consume_from=dict.fromkeys(queues))
    return SimpleNamespace(exitcode=exitcode, app=SimpleNamespace(amqp=SimpleNamespace(queues=consumed)))


@pytest.mark.parametrize(("exitcode", "missed"), [(0, []), (None, []), (1, ["worker.broker"])])
def test_a_worker_that_is_told_to_end_says_goodbye(
    watch: ProcessWatch, exitcode: int | None, missed: list[str]
) -> None:
    heard("worker.broker", seconds=31)
    say_goodbye(worker_of(["broker", "training"], exitcode))
    watch.look()
    assert told() == missed
    assert not Heartbeat.objects.filter(component="worker.training").exists()


def test_who_begins_again_is_missed_again(watch: ProcessWatch) -> None:
    heartbeats.end(component="worker.broker")
    heartbeats.beat(component="worker.broker")
    Heartbeat.objects.filter(component="worker.broker").update(at=ago(31))
    watch.look()
    assert told() == ["worker.broker"]


def test_an_end_that_cannot_be_noted_hinders_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(heartbeats, "_sign", fail)
    heartbeats.end(component="feed")


# --- clocks --------------------------------------------------------------------------------------------


def clocks() -> list[str]:
    rows = Alert.objects.filter(kind="process.clock_off", severity="critical").order_by("seq")
    return list(rows.values_list("message", flat=True))


@pytest.mark.parametrize(
    ("ahead", "begins"),
    [
        (0.9, None),
        (-0.9, None),
        (1.26, "The clock of host is 1.3 s ahead of the database's"),
        (-7200.0, "The clock of host is 7200.0 s behind the database's"),
    ],
)
def test_a_clock_that_is_off_by_more_than_a_second_is_told_once_until_somebody_knows(
    watch: ProcessWatch, ahead: float, begins: str | None
) -> None:
    Heartbeat.objects.filter(component__in=["worker.broker", "feed"]).update(clock_ahead_seconds=ahead)
    watch.look()
    watch.look()
    if begins is None:
        assert clocks() == []
        return
    (message,) = clocks()
    assert message.startswith(begins)


def test_a_machine_that_is_gone_has_no_clock(watch: ProcessWatch) -> None:
    Heartbeat.objects.filter(component="worker.broker").update(clock_ahead_seconds=5, at=ago(16))
    watch.look()
    assert clocks() == []


def test_a_process_finds_out_how_its_clock_goes(monkeypatch: pytest.MonkeyPatch, watch: ProcessWatch) -> None:
    real = heartbeats.time.time
    monkeypatch.setattr(heartbeats.time, "time", lambda: real() - 90)
    for _ in range(2):  # the second tells what the first has shown
        heartbeats.beat(component="worker.broker")
    row = Heartbeat.objects.filter(component="worker.broker").latest("at")
    assert row.clock_ahead_seconds == pytest.approx(-90, abs=5)
    monkeypatch.setattr(heartbeats.time, "time", real)
    for _ in range(2):
        heartbeats.beat(component="worker.broker")
    row.refresh_from_db()
    assert row.clock_ahead_seconds == 0
