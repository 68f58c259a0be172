"""`/ws/events`: the journal, followed live.

A plain ASGI application. A Channels consumer would open a channel of its own for every client and
die with Valkey; here the hub listens once for all, and one task for each client walks through the
events at the client's pace.

    ?portfolio={id}&since={seq}   that stream: everything after `since`, then live
    ?portfolio={id}               that stream from now on
    (nothing)                     the first message {"since": {stream: seq, …}} names where to begin;
                                  visible streams that it does not name are followed from now on,
                                  streams that are born later from their first event

Every message is one event, {"stream", "seq", "kind", "at", "payload", "alert"?}, where `seq` is gapless per
stream, or, after some seconds of silence, a heartbeat {"kind": "stream.heartbeat", "at", "seconds"}.
The server sends nothing else. See `closing.CloseCode` for the ends, docs/stream.md for a client's part.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from foundation.clock import database_now
from journal.selectors import born_after
from journal.services.tickets import Credential
from journal.stream.access import access_of, access_watch
from journal.stream.authentication import OriginRefused, Refused, authenticate
from journal.stream.closing import Close, CloseCode
from journal.stream.follower import Follower
from journal.stream.hub import hub
from journal.stream.request import Query, parse_first_message, parse_query, ticket_in
from journal.stream.seats import seat_of
from journal.stream.threads import for_client

log = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SEND_SECONDS = 5.0
CLOSE_SECONDS = 20.0
FIRST_MESSAGE_SECONDS = 10.0
BIRTH_MARGIN = timedelta(seconds=10)  # a stream's birth is the start of the transaction that made it


class Disconnected(Exception):
    """The client went away."""


async def events(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application of one WebSocket."""
    if (await receive())["type"] != "websocket.connect":
        return
    connection = Connection(scope, receive, send)
    try:
        await connection.serve()
    except Disconnected:
        pass
    except Close as close:
        await connection.close(close)
    except (DatabaseError, InterfaceError) as error:
        log.warning("journal_stream_unavailable", error=repr(error))
        await connection.close(Close(CloseCode.TRY_AGAIN_LATER, "the database does not answer; reconnect"))


class Connection:
    """One client, from its handshake to its end."""

    credential: Credential
    _since: datetime

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._accepted = False
        self._query: Query | None = None
        self._follower = Follower(hub(), self._send_text, heartbeat_seconds=settings.STREAM_HEARTBEAT_SECONDS)

    async def serve(self) -> None:
        """Raises Close or Disconnected at the end."""
        visible = await self._authenticate()
        with seat_of(self.credential.user_id, at_most=settings.STREAM_SOCKETS_PER_USER):
            try:
                await self._begin(visible)
                access_watch().add(self)
                await self._first_to_end(self._follower.run(), self._read())
            finally:
                access_watch().discard(self)
                self._follower.end()

    async def close(self, close: Close) -> None:
        """Say why. A client that does not read may find it behind what it has not read yet."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if not self._accepted:  # a refusal before the handshake could carry no code
                    await self._send({"type": "websocket.accept"})
                await self._send({"type": "websocket.close", "code": int(close.code), "reason": close.reason})
        except (TimeoutError, OSError, RuntimeError):
            log.info("journal_stream_gone", code=int(close.code))

    async def access_is(self, visible: frozenset[UUID] | None) -> None:
        """The watch tells, every few seconds, what this client's login may see."""
        if visible is None:
            self._follower.stop(Close(CloseCode.UNAUTHENTICATED, "the login is no longer valid"))
            return
        for stream in self._follower.streams - visible:
            self._follower.stop(Close(CloseCode.NOT_FOUND, f"stream {stream} is no longer visible"))
            return
        assert self._query is not None
        if self._query.portfolio is None and (fresh := visible - self._follower.streams):
            born = await for_client(born_after, fresh, self._since - BIRTH_MARGIN)
            await self._follower.begin({stream: 0 if stream in born else None for stream in fresh})

    async def _authenticate(self) -> frozenset[UUID]:
        """The streams that the client may see.

        Before accepting, because servers log the address of an accepted socket: by then its ticket is spent.
        """
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._scope["headers"]
        }
        query_string = self._scope["query_string"]
        try:
            admitted = await for_client(_admit, headers, ticket_in(query_string))
        except OriginRefused as error:
            raise Close(CloseCode.ORIGIN_REFUSED, str(error)) from error
        except Refused as error:
            raise Close(CloseCode.UNAUTHENTICATED, str(error)) from error
        self.credential, self._since, visible = admitted
        self._query = parse_query(query_string)
        if visible is None:
            raise Close(CloseCode.UNAUTHENTICATED, "the login is no longer valid")
        return visible

    async def _begin(self, visible: frozenset[UUID]) -> None:
        """Take up the positions; one portfolio's before the handshake ends, so that "now" is not later."""
        assert self._query is not None
        if self._query.portfolio is not None:
            await self._follow({self._query.portfolio: self._query.since}, visible)
            await self._accept()
        else:
            await self._accept()
            await self._follow({**dict.fromkeys(visible, None), **await self._first_message()}, visible)

    async def _accept(self) -> None:
        await self._send({"type": "websocket.accept"})
        self._accepted = True

    async def _follow(self, wanted: dict[UUID, int | None], visible: frozenset[UUID]) -> None:
        for stream in wanted.keys() - visible:
            raise Close(CloseCode.NOT_FOUND, f"there is no stream {stream}")
        await self._follower.begin(wanted)

    async def _first_message(self) -> dict[UUID, int]:
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise Close(CloseCode.BAD_REQUEST, "no first message came") from None
        if message["type"] != "websocket.receive":
            raise Disconnected
        return parse_first_message(message.get("text"))

    async def _read(self) -> None:
        """Later messages mean nothing; reading them is how one learns that the client left."""
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
        raise Disconnected

    async def _send_text(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise Close(CloseCode.SLOW_CONSUMER, "slow consumer, resume with since") from None
        except OSError as error:
            raise Disconnected from error

    @staticmethod
    async def _first_to_end(*works: Any) -> None:
        """Run together until one raises, which is raised here."""
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


def _admit(
    headers: dict[str, str], ticket: str | None
) -> tuple[Credential, datetime, frozenset[UUID] | None]:
    """Who it is, the time, and what he may see from then on; in one thread, for a thousand may come at once."""
    credential = authenticate(headers=headers, ticket=ticket)
    now = database_now()
    return credential, now, access_of([credential]).get(credential)
