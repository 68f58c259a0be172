"""Whatever becomes of Valkey, no event is missed and no commit waits."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.integration.journal.conftest import record, web_server

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("our_valkey")]

WITHIN_A_POLL = 20  # seconds: the poll comes every 2 s, the machine may be busy
AT_ONCE = 1.0


@pytest.fixture(scope="module")
def web(database, valkey, tmp_path_factory):
    with web_server(database, tmp_path_factory.mktemp("web"), REDIS_URL=valkey.redis_url) as server:
        yield server


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Accepts connections and answers nothing: a black hole."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def sequence(client, count: int, timeout: float) -> list[int]:
    return [json.loads(client.recv(timeout=timeout))["seq"] for _ in range(count)]


def pushed_at_once(client, cast, expected: int) -> bool:
    """Whether the next event comes faster than any poll would bring it."""
    begin = time.monotonic()
    record(cast.portfolio)
    assert sequence(client, 1, WITHIN_A_POLL) == [expected]
    return time.monotonic() - begin < AT_ONCE


def test_a_flushed_valkey_loses_nothing(web, cast, valkey):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        for seq in range(1, 6):
            with redis.Redis.from_url(valkey.redis_url) as server:
                server.flushall()
            record(cast.portfolio)
            assert sequence(client, 1, WITHIN_A_POLL) == [seq]


def test_without_valkey_events_still_arrive_and_afterwards_at_once_again(web, cast, valkey):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        record(cast.portfolio)
        assert sequence(client, 1, WITHIN_A_POLL) == [1]

        valkey.valkey.child.kill()
        valkey.valkey.child.wait()
        record(cast.portfolio, count=3)
        assert sequence(client, 3, WITHIN_A_POLL) == [2, 3, 4]
        with web.follow(token=cast.bob.token, portfolio=cast.portfolio, since=3) as late:  # may still come in
            assert sequence(late, 1, WITHIN_A_POLL) == [4]

        port = valkey.valkey.port
        valkey.start()
        assert valkey.valkey.port == port
        deadline = time.monotonic() + 15
        seq = 5
        while not pushed_at_once(client, cast, seq):
            assert time.monotonic() < deadline, "the hints are not heard again"
            seq += 1


def test_a_black_holed_valkey_delays_events_by_a_poll_and_no_commit(web, cast, valkey):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        record(cast.portfolio)
        assert sequence(client, 1, WITHIN_A_POLL) == [1]
        with suspended(valkey.valkey.child.pid):
            for _ in range(20):
                record(cast.portfolio)  # without timeouts it would wait for ever
            assert sequence(client, 20, WITHIN_A_POLL) == list(range(2, 22))
            time.sleep(8)  # long enough for the server to notice the silence and to drop the connection
            record(cast.portfolio)
            assert sequence(client, 1, WITHIN_A_POLL) == [22]
        deadline = time.monotonic() + 15
        seq = 23
        while not pushed_at_once(client, cast, seq):
            assert time.monotonic() < deadline, "the hints are not heard again"
            seq += 1
