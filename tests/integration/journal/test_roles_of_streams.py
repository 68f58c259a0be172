"""Who may follow which stream over the WebSocket: as docs/roles.md says, with somebody of each of its columns."""

import contextlib
import json
import time
from types import SimpleNamespace
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from journal.core.events import PLATFORM_STREAM
from portfolios.models import Member
from tests.harness.roles_table import COLUMNS, MEMBERS, by_action
from tests.integration.journal.conftest import make_portfolio, make_user, record

pytestmark = pytest.mark.integration

FLAGS = {"staff": {"is_staff": True}, "superuser": {"is_staff": True, "is_superuser": True}}
# which stream -> the action that following it is
STREAMS = {"portfolio": "follow", "platform": "follow_platform"}
TROUBLE = 5  # seconds
ROUNDS = 5  # of events, before it is believed that nothing comes


@pytest.fixture(scope="module")
def streams(database) -> SimpleNamespace:
    """Alice's portfolio, with one who asks for each column of the table; and one of somebody else, foreign to all."""
    alice = make_user("alice")
    askers = {column: make_user(column.replace("_", "-"), **FLAGS.get(column, {})) for column in COLUMNS}
    portfolio = make_portfolio(alice)
    for role in MEMBERS:
        Member.objects.create(portfolio_id=portfolio, user=askers[role].user, role=role)
    return SimpleNamespace(portfolio=portfolio, foreign=make_portfolio(make_user("zoe")), askers=askers)


def answer_of(web, who, stream: UUID) -> str:
    """`follows`: he is sent what happens there; else the code that the socket is closed with, or the status."""
    try:
        record(stream)
        with web.follow(token=who.token if who else None, portfolio=stream, since=0) as client:
            event = json.loads(client.recv(timeout=TROUBLE))
            assert event["stream"] == str(stream)
            return "follows"
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return str(closed.rcvd.code)
    except InvalidStatus as refused:
        return f"HTTP {refused.response.status_code}"


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("stream", STREAMS)
def test_each_follows_what_is_written(web, streams, stream: str, column: str) -> None:
    key = streams.portfolio if stream == "portfolio" else PLATFORM_STREAM
    promised = by_action()[STREAMS[stream]].cells[column]
    assert answer_of(web, streams.askers[column], key) == ("follows" if promised == "yes" else "4404")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_foreign_portfolio_does_not_exist(web, streams, column: str) -> None:
    """For members of another one; a superuser sees all, by the same row."""
    promised = by_action()["follow"].cells["superuser" if column == "superuser" else "outsider"]
    assert answer_of(web, streams.askers[column], streams.foreign) == (
        "follows" if promised == "yes" else "4404"
    )


def test_who_is_not_logged_in_follows_nothing(web, streams) -> None:
    assert answer_of(web, None, streams.portfolio) == "4401"


@pytest.mark.parametrize("column", COLUMNS)
def test_without_a_name_each_is_sent_what_he_may_see_and_no_more(web, streams, column: str) -> None:
    follow, of_platform = (by_action()[action].cells for action in STREAMS.values())
    promised = {
        key
        for key, cell in (
            (streams.portfolio, follow[column]),
            (streams.foreign, follow["superuser" if column == "superuser" else "outsider"]),
            (PLATFORM_STREAM, of_platform[column]),
        )
        if cell == "yes"
    }
    seen: set[UUID] = set()
    with web.follow(token=streams.askers[column].token) as client:
        client.send('{"since": {}}')
        deadline = time.monotonic() + 4 * TROUBLE
        rounds = 0
        while rounds < ROUNDS or (seen != promised and time.monotonic() < deadline):
            rounds += 1
            for key in (streams.portfolio, streams.foreign, PLATFORM_STREAM):
                record(key)
            with contextlib.suppress(TimeoutError):
                while True:
                    seen.add(UUID(json.loads(client.recv(timeout=0.2))["stream"]))
    assert seen == promised
