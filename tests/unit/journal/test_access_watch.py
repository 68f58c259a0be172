"""Who may still see what is told to each socket, whatever becomes of another one, or of another one's question."""

import asyncio

import pytest
from django.db import OperationalError

from journal.services.tickets import Credential
from journal.stream import access
from journal.stream.access import AccessWatch


class Socket:
    """Keeps what it is told, after failing so many times."""

    def __init__(self, user_id, *, failures=0):
        self.credential, self.failures, self.told = Credential(user_id=user_id), failures, []

    async def access_is(self, visible):
        if self.failures > 0:
            self.failures -= 1
            raise OperationalError("the database has gone")
        self.told.append(visible)


@pytest.fixture
def watched(monkeypatch):
    """Three sockets, asked for one by one, several times a second; who is in `broken` cannot be asked for."""
    monkeypatch.setattr(access, "RECHECK_SECONDS", 0.001)
    monkeypatch.setattr(access, "CREDENTIALS_PER_READ", 1)
    broken = set()

    def access_of(credentials):
        if broken & {credential.user_id for credential in credentials}:
            raise OperationalError("a statement timeout")
        return {credential: frozenset() for credential in credentials}

    monkeypatch.setattr(access, "access_of", access_of)
    return broken


async def watch_until(done, sockets):
    watch = AccessWatch()
    for socket in sockets:
        watch.add(socket)
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.001)
    watch._task.cancel()


@pytest.mark.parametrize("broken", [1, 2, 3])  # they are asked for in no certain order
def test_a_socket_that_cannot_be_told_keeps_no_other_from_being_told(watched, broken):
    sockets = [Socket(number) for number in (1, 2, 3)]
    odd = sockets.pop(broken - 1)
    odd.failures = 10_000_000
    asyncio.run(watch_until(lambda: all(socket.told for socket in sockets), [odd, *sockets]))
    assert odd.told == []
    odd.failures = 3
    asyncio.run(watch_until(lambda: odd.told, [odd, *sockets]))


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_question_that_fails_keeps_no_other_from_being_asked(watched, broken):
    sockets = [Socket(number) for number in (1, 2, 3)]
    odd = sockets.pop(broken - 1)
    watched.add(broken)
    asyncio.run(watch_until(lambda: all(socket.told for socket in sockets), [odd, *sockets]))
    assert odd.told == []
    watched.clear()
    asyncio.run(watch_until(lambda: odd.told, [odd, *sockets]))
