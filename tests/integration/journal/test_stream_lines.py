"""A line that is alive says so, and nobody takes more of them than is his."""

import json
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed

from journal.selectors import PAGE_BYTES_MAX, rendered_after
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.examples import EXAMPLES
from rules.services.rules import create_rule
from tests.harness.contracts import faults_of_message
from tests.harness.following import next_event
from tests.integration.journal.conftest import make_portfolio, record, web_server
from tests.integration.journal.test_stream import closed_with, receive, seqs

pytestmark = [pytest.mark.integration]

SECONDS = 0.5
SOCKETS = 3


@pytest.fixture(scope="module")
def web(database, tmp_path_factory):
    settings = {"STREAM_HEARTBEAT_SECONDS": str(SECONDS), "STREAM_SOCKETS_PER_USER": str(SOCKETS)}
    with web_server(database, tmp_path_factory.mktemp("web"), **settings) as server:
        yield server


def test_a_quiet_line_beats(web, cast):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio) as client:
        begin = time.monotonic()
        beats = receive(client, 3)
        assert time.monotonic() - begin >= 2 * SECONDS
    for beat in beats:
        assert beat.keys() == {"kind", "at", "seconds"}
        assert (beat["kind"], beat["seconds"]) == ("stream.heartbeat", SECONDS)
        assert abs((datetime.now(UTC) - datetime.fromisoformat(beat["at"])).total_seconds()) < 10


def test_a_line_of_everything_beats_too(web, cast):
    with web.follow(token=cast.alice.token) as client:
        client.send('{"since": {}}')
        assert [beat["kind"] for beat in receive(client, 2)] == ["stream.heartbeat"] * 2


def test_heartbeats_come_in_silence_only_and_take_no_number(web, cast):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        for seq in (1, 2):
            record(cast.portfolio)
            assert next_event(client, timeout=5)["seq"] == seq
            assert receive(client, 1)[0]["kind"] == "stream.heartbeat"


def test_what_is_sent_is_as_the_contract_says(web, cast):
    """Events of real services, over a real socket, against the committed docs/asyncapi.yaml."""
    portfolio = create_portfolio(name="Growth", owner=cast.alice.user)
    deposit(portfolio_id=portfolio.pk, amount=Decimal("1000.50"), actor=cast.alice.user)
    set_member(portfolio=portfolio, user=cast.bob.user, role="viewer", actor=cast.alice.user)
    create_rule(portfolio_id=portfolio.pk, rule=json.loads(EXAMPLES[0]), actor=cast.alice.user)
    first = {"since": {str(portfolio.pk): 0}}
    assert faults_of_message(first) == []
    with web.follow(token=cast.alice.token) as client:
        client.send(json.dumps(first))
        messages = receive(client, 5)
    assert [message["kind"] for message in messages] == [
        "portfolio.created", "cash.deposited", "member.set", "rule.created", "stream.heartbeat"
    ]  # fmt: skip
    for message in messages:
        assert faults_of_message(message) == [], message
        assert faults_of_message(message | {"at": "yesterday"}) != []
    assert faults_of_message(messages[1] | {"payload": messages[2]["payload"]}) != []


def test_a_user_has_so_many_sockets_and_others_have_theirs(web, cast):
    record(cast.portfolio)
    begin = {"token": cast.alice.token, "portfolio": cast.portfolio, "since": 0}
    with ExitStack() as stack:
        for _ in range(SOCKETS):
            assert seqs(receive(stack.enter_context(web.follow(**begin)), 1)) == [1]
        with web.follow(**begin) as one_more:
            code, reason = closed_with(one_more)
        assert code == 4429
        assert reason == f"you have {SOCKETS} sockets open: close one, then resume with since"
        with web.follow(token=cast.bob.token, portfolio=cast.portfolio, since=0) as of_bob:
            assert seqs(receive(of_bob, 1)) == [1]
    comes_in = False
    deadline = time.monotonic() + 10
    while not comes_in and time.monotonic() < deadline:  # those that left make room as soon as they are gone
        with web.follow(**begin) as again, suppress(ConnectionClosed):
            comes_in = seqs(receive(again, 1)) == [1]
    assert comes_in


def test_a_page_ends_where_it_is_large_enough(cast):
    """A client that replays holds a page while it sends; a thousand hold a thousand."""
    stream = make_portfolio(cast.alice)
    filler = "x" * (PAGE_BYTES_MAX // 2 - 1_000)
    record(stream, count=3, filler=filler)
    record(stream, filler="x" * (2 * PAGE_BYTES_MAX))
    record(stream, count=2)
    pages, position = [], 0
    while page := rendered_after({stream: position})[stream]:
        pages.append([event.seq for event in page])
        position = page[-1].seq
    assert pages == [[1, 2, 3], [4], [5, 6]]
