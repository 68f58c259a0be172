"""A wake-up that cannot be sent is lost without a trace: it never raises and never holds anybody up."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from autotrading_project.celery import app
from foundation import wakeups
from foundation.wakeups import wake, wake_on_commit

pytestmark = pytest.mark.integration
TASK = "trading.tasks.evaluate_due"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_paused_until", 0.0)


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


def waiting(settings: Any, queue: str) -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return client.llen(f"{settings.REDIS_PREFIX}:{queue}")  # type: ignore[return-value]


def test_a_wake_up_lies_in_its_queue_and_expires(committed_db: object, settings: Any) -> None:
    assert wake(TASK, queue="evaluation")
    assert waiting(settings, "evaluation") == 1
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        message = client.lindex(f"{settings.REDIS_PREFIX}:evaluation", 0)
    assert b'"expires": "' in message and TASK.encode() in message  # type: ignore[operator]


@pytest.mark.parametrize("dead", ["refusing", "silent"])
def test_a_dead_valkey_neither_raises_nor_is_asked_again_at_once(
    settings: Any, black_hole: str, dead: str
) -> None:
    settings.CELERY_BROKER_URL = black_hole if dead == "silent" else "redis://127.0.0.1:1/0"
    assert wake(TASK, queue="evaluation") is False
    assert wakeups._paused_until > 0


def test_it_leaves_after_the_commit_only(committed_db: object, settings: Any) -> None:
    with transaction.atomic():
        wake_on_commit(TASK, queue="evaluation")
        assert waiting(settings, "evaluation") == 0
    assert waiting(settings, "evaluation") == 1


def test_a_roll_back_takes_it_along(committed_db: object, settings: Any) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        wake_on_commit(TASK, queue="evaluation")
        _ = 1 / 0
    assert waiting(settings, "evaluation") == 0


QUEUES = ("market", "evaluation", "execution", "broker", "notification")


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("sender", ["wake", "exchange", "beat"])
def test_a_message_reaches_its_own_queue_and_no_other(
    committed_db: object, settings: Any, sender: str, queue: str
) -> None:
    if sender == "wake":
        assert wake(TASK, queue=queue)
    elif sender == "exchange":
        with app.connection_for_write() as connection:
            bound = app.amqp.queues[queue]
            for each in app.amqp.queues.values():
                each(connection.default_channel).declare()
            connection.Producer().publish({}, exchange=bound.exchange, routing_key=bound.routing_key)
    else:
        interval = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
        row = PeriodicTask.objects.create(name="due", task=TASK, interval=interval, queue=queue)
        with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
            DatabaseScheduler(app=app, lazy=True).apply_async(ModelEntry(row, app=app), producer=producer)
    assert {name: waiting(settings, name) for name in QUEUES} == {name: int(name == queue) for name in QUEUES}
