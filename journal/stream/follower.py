"""One client's walk through the streams that it follows."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from foundation.core.canonical import canonical_json
from journal.selectors import PAGE_ROWS, rendered_after
from journal.stream.closing import Close, CloseCode
from journal.stream.hub import Hub
from journal.stream.threads import for_client

EVENTS_BETWEEN_YIELDS = 50
HEARTBEAT = "stream.heartbeat"
"""The `kind` of what is sent in silence; it is no event: no `stream`, no `seq`."""


class Follower:
    """Sends every event after the client's position, once and in order, stream by stream.

    It holds a position for each stream and a flag "there may be more": any number of hints collapse
    into the flag, and what is more is read from the hub's tail or from the table. After
    `heartbeat_seconds` without an event it sends a heartbeat: a browser does not see the protocol's
    pings, and could not tell a dead line from a quiet one.
    """

    def __init__(
        self, hub: Hub, send_text: Callable[[str], Awaitable[None]], *, heartbeat_seconds: float
    ) -> None:
        self._hub = hub
        self._send_text = send_text
        self._heartbeat_seconds = heartbeat_seconds
        self._attached: set[UUID] = set()
        self._positions: dict[UUID, int] = {}
        self._flagged: dict[UUID, None] = {}  # ordered: each stream in its turn
        self._wake = asyncio.Event()
        self._stopped_by: Close | None = None
        self._ended = False

    @property
    def streams(self) -> frozenset[UUID]:
        return frozenset(self._attached)

    async def begin(self, wanted: Mapping[UUID, int | None]) -> None:
        """Follow these streams too: after the given `seq`, or from now on where it is None.

        Nothing once it has ended: whoever saw a new stream may come late, and nobody would detach it any more. Whatever
        it raises, it follows none of them, and can be asked again.
        """
        if self._ended:
            return
        self._attached.update(wanted)
        try:
            heads = await self._hub.attach(self, wanted)
        except BaseException:
            self._hub.detach(self, wanted)
            self._attached.difference_update(wanted)
            raise
        for stream, since in wanted.items():
            head = heads[stream]
            if since is not None and since > head:
                raise Close(CloseCode.BAD_REQUEST, f"since is beyond the head of {stream}, which is {head}")
            self._positions[stream] = head if since is None else since
            self.flag(stream)

    def end(self) -> None:
        self._ended = True
        self._hub.detach(self, self._attached)

    def stop(self, close: Close) -> None:
        """Make `run` raise this as soon as it can."""
        self._stopped_by = close
        self._wake.set()

    def flag(self, stream: UUID) -> None:
        self._flagged[stream] = None
        self._wake.set()

    def position_of(self, stream: UUID) -> int:
        return self._positions.get(stream, 0)

    async def run(self) -> None:
        """Send for ever. Raises Close."""
        while True:
            self._wake.clear()
            while self._flagged:
                stream = next(iter(self._flagged))
                del self._flagged[stream]
                if stream in self._positions:
                    await self._send_page(stream)
            self._raise_if_stopped()
            if not await self._woken():
                await self._send_text(heartbeat_text(self._heartbeat_seconds))

    async def _woken(self) -> bool:
        """Wait for news; False when there were none for so long that a heartbeat is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat_seconds):
                await self._wake.wait()
        return self._wake.is_set()

    async def _send_page(self, stream: UUID) -> None:
        """Send a page at most, so that a long replay of one stream does not starve the others."""
        topic = self._hub.topic(stream)
        page = topic.after(self._positions[stream])
        if page is None:
            position = self._positions[stream]
            page = (await for_client(rendered_after, {stream: position}, PAGE_ROWS))[stream]
        for count, rendered in enumerate(page[:PAGE_ROWS], start=1):
            self._raise_if_stopped()
            if rendered.seq != self._positions[stream] + 1:
                raise Close(CloseCode.INTERNAL, f"the journal has a gap before {rendered.seq} of {stream}")
            await self._send_text(rendered.text)
            self._positions[stream] = rendered.seq
            if count % EVENTS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        if page and self._positions[stream] < max(topic.last_seq, page[-1].seq):
            self.flag(stream)

    def _raise_if_stopped(self) -> None:
        if self._stopped_by is not None:
            raise self._stopped_by


def heartbeat_text(seconds: float) -> str:
    """A heartbeat: the server's time, and after how many seconds of silence the next one comes."""
    return canonical_json({"kind": HEARTBEAT, "at": datetime.now(UTC), "seconds": seconds})
