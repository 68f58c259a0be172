"""One hub for each process: it listens for everybody and reads the table once for everybody.

A hint says only "stream s has reached seq n"; the events are read from the table, after the last
one known, so that they are in order and without a gap whatever became of the hints. Every few
seconds the hub looks at the heads anyway: a lost hint, a flushed or restarted Valkey or none at all
delay an event by that much and lose nothing.

Clients have no queues. The hub keeps the newest events of a stream as long as somebody still has to
send them; each follower walks through them at its own pace and falls back on the table when it is
too slow. So memory is bounded by the number of streams, in events and in bytes of each, not by the
slowness of clients.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from journal.selectors import Rendered, heads, rendered_after
from journal.stream.listener import Listener
from journal.stream.threads import for_client, for_hub

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
RETRY_SECONDS = 1.0
TAIL_EVENTS_MAX = 1000
TAIL_BYTES_MAX = 4_194_304
STREAMS_PER_READ = 64
_UNKNOWN = -1


class Flagged(Protocol):
    """What a topic tells: something may be new in this stream."""

    def flag(self, stream: UUID) -> None: ...

    def position_of(self, stream: UUID) -> int: ...


class Topic:
    """What this process knows of one stream that somebody follows."""

    def __init__(self, stream: UUID) -> None:
        self.stream = stream
        self.last_seq = _UNKNOWN
        self.hinted_seq = 0
        self.has_gap = False
        self.followers: set[Flagged] = set()
        self._tail: deque[Rendered] = deque()
        self._tail_bytes = 0

    def begin_at(self, seq: int) -> None:
        """Start to follow after `seq`, once."""
        if self.last_seq == _UNKNOWN:
            self.last_seq = seq

    @property
    def is_behind(self) -> bool:
        return self.last_seq != _UNKNOWN and self.hinted_seq > self.last_seq and not self.has_gap

    def extend(self, page: Iterable[Rendered]) -> None:
        """Add what was read from the table after `last_seq`, and tell the followers."""
        for rendered in page:
            if rendered.seq != self.last_seq + 1:
                self.has_gap = True  # somebody tampered with the table: each follower will find it there
                break
            self._keep(rendered)
            self.last_seq = rendered.seq
        for follower in self.followers:
            follower.flag(self.stream)

    def _keep(self, rendered: Rendered) -> None:
        """The oldest go first when there are too many or too large ones; the table has them."""
        self._tail.append(rendered)
        self._tail_bytes += sys.getsizeof(rendered.text)
        while len(self._tail) > TAIL_EVENTS_MAX or self._tail_bytes > TAIL_BYTES_MAX:
            self._tail_bytes -= sys.getsizeof(self._tail.popleft().text)

    def after(self, seq: int) -> list[Rendered] | None:
        """The events that follow `seq` as far as known; None when they must be read from the table."""
        if self.has_gap:
            return None
        if seq >= self.last_seq:
            return []
        if not self._tail or self._tail[0].seq > seq + 1:
            return None
        return list(islice(self._tail, seq + 1 - self._tail[0].seq, None))

    def forget_what_all_have(self) -> None:
        if all(follower.position_of(self.stream) >= self.last_seq for follower in self.followers):
            self._tail.clear()
            self._tail_bytes = 0


class Hub:
    """All topics of one event loop."""

    def __init__(self) -> None:
        self._topics: dict[UUID, Topic] = {}
        self._news = asyncio.Event()
        self._listener = Listener(self._reached)
        self._tasks: list[asyncio.Task[None]] = []

    async def attach(self, follower: Flagged, streams: Iterable[UUID]) -> dict[UUID, int]:
        """Make `follower` hear of these streams; the head of each, read after the subscription."""
        self._start()
        topics = [self._topics.setdefault(stream, Topic(stream)) for stream in streams]
        for topic in topics:
            topic.followers.add(follower)
        await self._listener.follow([topic.stream for topic in topics])
        found = await for_client(heads, [topic.stream for topic in topics])
        for topic in topics:
            topic.begin_at(found[topic.stream])
            self._reached(topic.stream, found[topic.stream])
        return found

    def detach(self, follower: Flagged, streams: Iterable[UUID]) -> None:
        """Forget the follower; a topic without followers is given up by the next poll."""
        for stream in streams:
            topic = self._topics.get(stream)
            if topic is not None:
                topic.followers.discard(follower)

    def topic(self, stream: UUID) -> Topic:
        return self._topics[stream]

    def _start(self) -> None:
        if not self._tasks:
            works = (("hints", self._listener.listen), ("pages", self._read_news), ("poll", self._poll))
            self._tasks = [
                asyncio.create_task(_for_ever(name, work), name=f"journal-hub-{name}") for name, work in works
            ]

    def _reached(self, stream: UUID, seq: int) -> None:
        topic = self._topics.get(stream)
        if topic is not None:
            topic.hinted_seq = max(topic.hinted_seq, seq)
            if topic.is_behind:
                self._news.set()

    async def _read_news(self) -> None:
        await self._news.wait()
        self._news.clear()
        while behind := [topic for topic in self._topics.values() if topic.is_behind]:
            batch = {topic.stream: topic for topic in behind[:STREAMS_PER_READ]}
            try:
                pages = await for_hub(rendered_after, {key: topic.last_seq for key, topic in batch.items()})
            except Exception:
                self._news.set()
                raise
            for stream, topic in batch.items():
                topic.extend(pages[stream])
                if not pages[stream]:  # nothing is there, whatever a hint claimed
                    topic.hinted_seq = topic.last_seq

    async def _poll(self) -> None:
        await asyncio.sleep(POLL_SECONDS)
        abandoned = [stream for stream, topic in self._topics.items() if not topic.followers]
        for stream in abandoned:
            del self._topics[stream]
        await self._listener.leave(abandoned)
        for topic in self._topics.values():
            topic.forget_what_all_have()
        if self._topics:
            for stream, seq in (await for_hub(heads, list(self._topics))).items():
                self._reached(stream, seq)


async def _for_ever(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again: no failure of Valkey or PostgreSQL may end the stream."""
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("journal_hub_failed", task=name, error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
