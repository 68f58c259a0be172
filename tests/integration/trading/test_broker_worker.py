"""The queue `broker` has a worker of its own, which works off what is due at real brokers; and as with all workers, its
pool is made whole at once."""

import os
import signal
import time

import pytest

from foundation.models import Heartbeat
from foundation.wakeups import wake
from tests.harness.at_broker import connect, ordered
from tests.harness.processes import Processes
from tests.harness.trading import Desk
from tests.integration.trading.at_brokers import pass_time, state

pytestmark = pytest.mark.integration


def test_a_wake_up_reaches_the_worker_of_the_queue_broker(desk: Desk, processes: Processes) -> None:
    connect(desk)
    trade = ordered(desk)
    pass_time(61)
    processes.start("worker_broker")
    processes.wait_ready("worker_broker")
    for task in ("send_due", "recover_due"):
        assert wake(f"trading.tasks.{task}", queue="broker")
    processes.wait_for("worker_broker", lambda: state(trade) == "expired")
    assert Heartbeat.objects.filter(component="worker.broker").exists()
    assert processes.stop("worker_broker") == {"worker_broker": 0}


POOL = 2
# Celery by itself looks after its pool every five seconds.
KILLS, SECONDS_FOR_ALL = 4, 10.0


def test_dead_pool_processes_are_replaced_at_once(desk: Desk, processes: Processes) -> None:
    processes.start("worker_broker")
    processes.wait_ready("worker_broker")
    processes.wait_for("worker_broker", lambda: len(processes.pool_children("worker_broker")) == POOL)
    began = time.monotonic()
    for _ in range(KILLS):
        dead = processes.pool_children("worker_broker")[0]
        os.kill(dead, signal.SIGKILL)
        processes.wait_for("worker_broker", lambda dead=dead: _is_whole(processes, without=dead))  # type: ignore[misc]
    assert time.monotonic() - began < SECONDS_FOR_ALL


def _is_whole(processes: Processes, *, without: int) -> bool:
    children = processes.pool_children("worker_broker")
    return len(children) == POOL and without not in children
