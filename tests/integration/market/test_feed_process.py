"""The feed as a real process: killed, restarted, stopped; and publishers that race."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from foundation import leases
from market.models import Snapshot
from market.services import snapshots
from market.services.load import load_sample_market

from .conftest import market_at, moment

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def start_feed(committed_db):
    started = []

    def start(**environment):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run_feed"],
            cwd=ROOT,
            env=committed_db.environment
            | {"REPLAY_BARS_PER_SECOND": "20", "REPLAY_START": "2000-03-10"}
            | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def versions():
    return list(Snapshot.objects.order_by("version").values_list("version", flat=True))


def test_a_killed_feed_is_followed_by_the_next_without_a_gap_or_a_repetition(start_feed, settings):
    settings.REPLAY_START = "2000-03-10"
    load_sample_market()
    first = start_feed()
    wait_for(lambda: snapshots.current_version() >= 5)
    first.kill()
    first.wait(10)
    at_kill = snapshots.current_version()
    start_feed()
    # The dead feed's lease has to expire first.
    wait_for(lambda: snapshots.current_version() >= at_kill + 5)
    rows = list(Snapshot.objects.order_by("version").values_list("version", "as_of"))
    assert [version for version, _ in rows] == list(range(1, len(rows) + 1))
    times = [as_of for _, as_of in rows]
    assert times == sorted(set(times))


def test_sigterm_ends_it_promptly_and_frees_the_lease(start_feed, settings):
    settings.REPLAY_START = "2000-03-10"
    load_sample_market()
    process = start_feed()
    wait_for(lambda: snapshots.current_version() >= 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert leases.acquire(name="market.feed", holder="next", seconds=5) is not None


def test_publishers_that_race_leave_no_gap_and_no_version_twice(committed_db):
    def work():
        try:
            for _ in range(5):
                taken.append(snapshots.publish(snapshot=market_at(moment(5))))
        finally:
            connection.close()

    taken = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == versions() == list(range(1, 21))
