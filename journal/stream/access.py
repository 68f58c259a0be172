"""Who may still see what: asked again every few seconds for as long as a socket is open.

So a revoked token, a closed login or a lost membership closes the socket within seconds, and a new
portfolio joins the sockets that follow everything.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from typing import Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from journal.selectors import visible_streams_of
from journal.services.tickets import Credential
from journal.stream.authentication import users_of
from journal.stream.threads import for_client

log = structlog.get_logger(__name__)

RECHECK_SECONDS = 3.0
CREDENTIALS_PER_READ = 500


class Watched(Protocol):
    credential: Credential

    async def access_is(self, visible: frozenset[UUID] | None) -> None:
        """Told again and again: the streams that are visible now, or None when the login is gone."""


def access_of(credentials: Collection[Credential]) -> dict[Credential, frozenset[UUID]]:
    """What each good credential may see; those that are good no more are missing.

    Reads the database, in as many queries for a thousand as for two.
    """
    users = users_of(credentials)
    visible = visible_streams_of(list({user.pk: user for user in users.values()}.values()))
    return {credential: visible[user.pk] for credential, user in users.items()}


class AccessWatch:
    """All open sockets of one event loop; one question for each login, however many sockets it has."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, watched: Watched) -> None:
        self._watched.add(watched)
        if self._task is None:
            self._task = asyncio.create_task(self._ask_for_ever(), name="journal-access")

    def discard(self, watched: Watched) -> None:
        self._watched.discard(watched)

    async def _ask_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self._ask()

    async def _ask(self) -> None:
        """Whatever becomes of one question or of one socket, the others are told; all are asked for again soon."""
        credentials = list({watched.credential for watched in self._watched})
        for start in range(0, len(credentials), CREDENTIALS_PER_READ):
            with _others_go_on():
                await self._ask_for(set(credentials[start : start + CREDENTIALS_PER_READ]))

    async def _ask_for(self, part: set[Credential]) -> None:
        access = await for_client(access_of, part)
        for watched in [one for one in self._watched if one.credential in part]:
            with _others_go_on():
                await watched.access_is(access.get(watched.credential))


@contextlib.contextmanager
def _others_go_on() -> Iterator[None]:
    """Without the database nothing new can be sent either, so the sockets may stay."""
    try:
        yield
    except Exception as error:
        log.warning("journal_access_not_checked", error=repr(error))


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, AccessWatch] = WeakKeyDictionary()


def access_watch() -> AccessWatch:
    """The watch of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        _watches[loop] = AccessWatch()
    return _watches[loop]
