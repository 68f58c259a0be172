"""Many clients at once: each gets every event once and in order, however often it is cut and whatever Valkey does.

The same crowd, larger, is measured by `make bench ONLY=stream`.
"""

import asyncio
import json
import time
from uuid import UUID

import pytest

from benchmarks.stream.clients import Client
from benchmarks.stream.clients import Crowd as Clients
from benchmarks.stream.crowd import Crowd, allow_sockets, plan
from journal.selectors import heads
from tests.integration.journal.conftest import make_portfolio, make_user, record, web_server

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("our_valkey")]

CLIENTS, PORTFOLIOS = 200, 10
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def web(database, valkey, tmp_path_factory):
    with web_server(database, tmp_path_factory.mktemp("web"), REDIS_URL=valkey.redis_url) as server:
        yield server


@pytest.fixture
def crowd():
    allow_sockets(CLIENTS + 500)
    made = Crowd(processes=1)
    yield made
    made.stop()


def by_name(streams: list[UUID]) -> dict[str, int]:
    return {str(stream): seq for stream, seq in heads(streams).items()}


@pytest.mark.timeout(240)
def test_two_hundred_clients_miss_nothing(database, web, valkey, crowd):
    owners = [make_user(f"owner{number}") for number in range(PORTFOLIOS)]
    streams = [make_portfolio(owner) for owner in owners]
    crowd.connect(
        [
            plan(
                web, path=f"/ws/events?portfolio={streams[number % PORTFOLIOS]}", since=0,
                stream=str(streams[number % PORTFOLIOS]), token=owners[number % PORTFOLIOS].token,
            )
            for number in range(CLIENTS)
        ]
    )  # fmt: skip

    def happen(rounds: int) -> None:
        for number in range(rounds):
            record(streams[number % PORTFOLIOS], count=1 + number % 3)
            time.sleep(0.02)

    crowd.be_restless(5)
    happen(100)
    valkey.valkey.child.kill()
    valkey.valkey.child.wait()
    happen(50)
    valkey.start()
    happen(100)
    crowd.be_restless(0)
    crowd.until(by_name(streams), seconds=WAIT_SECONDS)
    crowd.cut_all()
    happen(PORTFOLIOS)
    got = crowd.until(by_name(streams), seconds=WAIT_SECONDS)

    assert got.reconnects >= CLIENTS
    assert {code for code in got.closes if code not in {"1000", "1001"}} == set()
    assert min(by_name(streams).values()) >= 40


@pytest.mark.timeout(240)
def test_the_crowd_would_notice(database, web, valkey, crowd):
    """Of a client that waits for what never comes."""
    owner = make_user("owner")
    stream = make_portfolio(owner)
    record(stream, count=3)
    one = plan(web, path=f"/ws/events?portfolio={stream}", since=0, stream=str(stream), token=owner.token)
    crowd.connect([one])
    assert len(crowd.until({str(stream): 3}, seconds=WAIT_SECONDS).received) == 3
    with pytest.raises(RuntimeError, match=f"clients missed events: .*{stream} at 3"):
        crowd.until({str(stream): 4}, seconds=1)


@pytest.mark.parametrize(("seqs", "fault"), [((5, 7), "7 came after 5"), ((5, 5), "5 came after 5")])
def test_a_gap_and_a_double_are_faults(seqs, fault):
    async def take() -> list[str]:
        clients = Clients()
        client = Client(clients, {"stream": "one", "since": 4})
        client.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        for seq in seqs:
            text = json.dumps({"stream": "one", "seq": seq, "filler": "x" * 200}).encode()
            frame = bytes([0x81, 126]) + len(text).to_bytes(2) + text
            client.data_received(frame[:7])
            client.data_received(frame[7:])
        return clients.faults

    assert asyncio.run(take()) == [f"one: {fault}"]
