"""`/ws/events` over real sockets: who may follow, from where, and that nothing is ever missed."""

import json
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from rest_framework.test import APIClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM, AlertSpec
from journal.models import Alert, StreamTicket
from portfolios.models import Member
from tests.integration.journal.conftest import make_portfolio, make_user, record

pytestmark = [pytest.mark.integration]

SOON = 5  # seconds


def receive(client, count: int, timeout: float = SOON) -> list[dict]:
    return [json.loads(client.recv(timeout=timeout)) for _ in range(count)]


def closed_with(client, timeout: float = SOON) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            client.recv(timeout=timeout)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def seqs(events: list[dict]) -> list[int]:
    return [event["seq"] for event in events]


def api(who) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {who.token}")
    return client


def session_of(who) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(who.user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = who.user.get_session_auth_hash()
    session.create()
    return session.session_key


# Replay, then live ------------------------------------------------------------------------------


def test_replay_from_since_then_live(web, cast):
    record(cast.portfolio, count=3)
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=1) as client:
        assert seqs(receive(client, 2)) == [2, 3]
        record(cast.portfolio, kind="test.happened", price="10.5")
        (event,) = receive(client, 1)
    assert event.keys() == {"stream", "seq", "kind", "at", "payload"}
    assert (event["stream"], event["seq"], event["kind"]) == (str(cast.portfolio), 4, "test.happened")
    assert event["payload"] == {"number": 0, "price": "10.5"}
    assert event["at"].endswith("Z")


def test_an_event_of_which_people_are_told_says_so_replayed_live_and_over_rest(web, cast):
    """So that a page shows a notification at once, and knows what to acknowledge."""
    spec = AlertSpec("warning", 'the feed says "no"')
    record(cast.portfolio, kind="test.alerted", alert=spec)
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        events = receive(client, 1)
        record(cast.portfolio, kind="test.alerted", alert=spec)
        record(cast.portfolio, kind="test.happened")
        events += receive(client, 2)
    told = [
        {"id": str(alert.pk), "severity": "warning", "message": spec.message}
        for alert in Alert.objects.filter(stream=cast.portfolio).order_by("seq")
    ]
    assert [event.get("alert") for event in events] == [*told, None]
    listed = api(cast.alice).get("/api/journal", {"portfolio": cast.portfolio})
    assert listed.json()["results"] == events


def test_an_event_is_pushed_not_polled(web, cast):
    with web.follow(token=cast.bob.token, portfolio=cast.portfolio) as client:
        delays = []
        for _ in range(5):
            begin = time.monotonic()
            record(cast.portfolio)
            receive(client, 1)
            delays.append(time.monotonic() - begin)
    assert min(delays) < 0.5  # the poll comes every 2 s


def test_without_since_a_stream_is_followed_from_now_on(web, cast):
    record(cast.portfolio, count=3)
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio) as client:
        record(cast.portfolio)
        assert seqs(receive(client, 1)) == [4]


def test_a_long_replay_comes_whole_and_in_order(web, cast):
    record(cast.portfolio, count=1701)  # several pages
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) as client:
        assert seqs(receive(client, 1701)) == list(range(1, 1702))


def test_a_client_that_reconnects_with_since_misses_nothing(web, cast):
    """It drops the connection every 20 events, while a writer goes on all the time."""

    def write() -> None:
        try:
            for number in range(60):
                record(cast.portfolio, count=1 + number % 4)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while len(seen) < 150:
        since = seen[-1] if seen else 0
        with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=since) as client:
            seen += seqs(receive(client, min(20, 150 - len(seen))))
    writer.join()
    assert seen == list(range(1, 151))


def test_many_clients_of_one_stream_get_the_same(web, cast):
    with ExitStack() as stack:
        sockets = [web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=0) for _ in range(20)]
        clients = [stack.enter_context(one) for one in sockets]
        for _ in range(10):
            record(cast.portfolio, count=3)
        for client in clients:
            assert seqs(receive(client, 30)) == list(range(1, 31))


# Everything that one may see ----------------------------------------------------------------------


def test_the_first_message_says_where_each_stream_begins(web, cast):
    other = make_portfolio(cast.alice)
    record(cast.portfolio, count=3)
    record(other, count=3)
    with web.follow(token=cast.alice.token) as client:
        client.send(json.dumps({"since": {str(cast.portfolio): 1}}))
        assert [(event["stream"], event["seq"]) for event in receive(client, 2)] == [
            (str(cast.portfolio), 2),
            (str(cast.portfolio), 3),
        ]
        record(other)
        (event,) = receive(client, 1)  # not named: from now on
        assert (event["stream"], event["seq"]) == (str(other), 4)


def test_a_new_portfolio_joins_from_its_first_event(web, cast):
    with web.follow(token=cast.alice.token) as client:
        client.send('{"since": {}}')
        time.sleep(0.3)
        born = make_portfolio(cast.alice)
        record(born, count=2)
        events = receive(client, 2, timeout=10)
        assert [(event["stream"], event["seq"]) for event in events] == [(str(born), 1), (str(born), 2)]


def test_the_platforms_stream_is_for_staff(web, cast):
    dora = make_user("dora", is_staff=True)
    with web.follow(token=dora.token, portfolio=PLATFORM_STREAM) as client:
        record(PLATFORM_STREAM, kind="test.happened")
        assert receive(client, 1)[0]["kind"] == "test.happened"
    with web.follow(token=cast.alice.token, portfolio=PLATFORM_STREAM) as client:
        assert closed_with(client)[0] == 4404


# Who may come in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token wrong"}, {"Authorization": "Basic YTpi"}])
def test_without_a_good_login_the_socket_closes_with_4401(web, cast, headers):
    with web.follow(headers=headers, portfolio=cast.portfolio) as client:
        assert closed_with(client)[0] == 4401


def test_a_foreign_portfolio_does_not_exist(web, cast):
    record(cast.portfolio)
    for stranger, portfolio in ((cast.charlie, cast.portfolio), (cast.alice, uuid4())):
        with web.follow(token=stranger.token, portfolio=portfolio, since=0) as client:
            assert closed_with(client)[0] == 4404


def test_a_foreign_stream_in_the_first_message_does_not_exist(web, cast):
    with web.follow(token=cast.charlie.token) as client:
        client.send(json.dumps({"since": {str(cast.portfolio): 0}}))
        assert closed_with(client)[0] == 4404


def test_bad_requests_close_with_4400_and_a_reason(web, cast):
    token = cast.alice.token
    for query in (
        {"portfolio": "x"}, {"portfolio": cast.portfolio, "since": "x"}, {"since": 1},
        {"portfolio": cast.portfolio, "sinse": 1},
    ):  # fmt: skip
        with web.follow(token=token, **query) as client:
            code, reason = closed_with(client)
        assert code == 4400
        assert reason
    with web.follow(token=token) as client:
        client.send("hello")
        assert closed_with(client)[0] == 4400


def test_a_since_beyond_the_head_is_refused_rather_than_waited_for(web, cast):
    record(cast.portfolio)
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=2) as client:
        code, reason = closed_with(client)
    assert code == 4400
    assert "beyond the head" in reason


def test_another_address_is_refused_in_the_handshake(web):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{web.host}/ws/other", proxy=None)
    assert refused.value.response.status_code == 403


def test_a_ticket_opens_one_socket(web, cast):
    answer = api(cast.alice).post("/api/stream/tickets")
    assert answer.status_code == 201
    ticket = answer.json()["ticket"]
    assert answer.json()["expires_in"] == 30
    assert not StreamTicket.objects.filter(ticket_hash__contains=ticket).exists()
    record(cast.portfolio)
    with web.follow(ticket=ticket, portfolio=cast.portfolio, since=0) as client:
        assert seqs(receive(client, 1)) == [1]
    with web.follow(ticket=ticket, portfolio=cast.portfolio) as client:
        assert closed_with(client)[0] == 4401


def test_a_ticket_is_worthless_after_its_time(web, cast):
    ticket = api(cast.alice).post("/api/stream/tickets").json()["ticket"]
    long_ago = database_now() - timedelta(minutes=5)
    StreamTicket.objects.filter(user=cast.alice.user).update(
        created_at=long_ago, expires_at=long_ago + timedelta(seconds=30)
    )
    with web.follow(ticket=ticket, portfolio=cast.portfolio) as client:
        assert closed_with(client)[0] == 4401


def test_a_session_needs_our_own_origin(web, cast):
    cookie = {"Cookie": f"sessionid={session_of(cast.alice)}"}
    record(cast.portfolio)
    with web.follow(
        headers={**cookie, "Origin": f"http://{web.host}"}, portfolio=cast.portfolio, since=0
    ) as client:
        assert seqs(receive(client, 1)) == [1]
    for origin in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
    ):
        with web.follow(headers={**cookie, **origin}, portfolio=cast.portfolio) as client:
            assert closed_with(client)[0] == 4403


def test_a_rebound_host_name_is_not_our_own_origin(web, cast):
    headers = {"Cookie": f"sessionid={session_of(cast.alice)}", "Origin": "http://evil.example"}
    address = f"ws://evil.example/ws/events?portfolio={cast.portfolio}"
    with connect(address, address=("127.0.0.1", web.port), additional_headers=headers, proxy=None) as client:
        assert closed_with(client)[0] == 4403


# And stay in --------------------------------------------------------------------------------------


def test_a_revoked_token_closes_the_socket_within_seconds(web, cast):
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio) as client:
        time.sleep(0.3)
        cast.alice.token_row.delete()
        assert closed_with(client, timeout=8)[0] == 4401


def test_revoking_the_token_that_bought_the_ticket_closes_the_socket(web, cast):
    ticket = api(cast.alice).post("/api/stream/tickets").json()["ticket"]
    with web.follow(ticket=ticket, portfolio=cast.portfolio) as client:
        time.sleep(0.3)
        cast.alice.token_row.delete()
        assert closed_with(client, timeout=8)[0] == 4401


def test_a_lost_membership_closes_the_socket_within_seconds(web, cast):
    with web.follow(token=cast.bob.token, portfolio=cast.portfolio) as client:
        time.sleep(0.3)
        Member.objects.filter(user=cast.bob.user).delete()
        assert closed_with(client, timeout=8)[0] == 4404


def test_a_new_password_ends_the_sessions_socket(web, cast):
    headers = {"Cookie": f"sessionid={session_of(cast.alice)}", "Origin": f"http://{web.host}"}
    with web.follow(headers=headers, portfolio=cast.portfolio) as client:
        time.sleep(0.3)
        cast.alice.user.set_password("another long password")
        cast.alice.user.save()
        assert closed_with(client, timeout=8)[0] == 4401


def test_a_client_that_does_not_read_is_closed_and_resumes(web, cast):
    """About 20 MB wait for it; it is told why it was closed, and nothing is lost."""
    for _ in range(20):
        record(cast.portfolio, count=100, filler="x" * 10_000)
    address = f"ws://{web.host}/ws/events?portfolio={cast.portfolio}&since=0"
    headers = {"Authorization": f"Token {cast.alice.token}"}
    with connect(
        address, additional_headers=headers, compression=None, max_queue=1, ping_interval=None, proxy=None
    ) as client:
        time.sleep(7)
        seen: list[int] = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                seen.append(json.loads(client.recv(timeout=SOON))["seq"])
    assert closed.value.rcvd.code == 4408
    assert closed.value.rcvd.reason == "slow consumer, resume with since"
    assert 0 < len(seen) < 2000
    with web.follow(token=cast.alice.token, portfolio=cast.portfolio, since=seen[-1]) as client:
        seen += seqs(receive(client, 2000 - len(seen)))
    assert seen == list(range(1, 2001))
