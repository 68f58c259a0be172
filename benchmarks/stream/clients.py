"""`python -m benchmarks.stream.clients`: a crowd of WebSocket clients in one event loop, told by lines of JSON.

Each client knows the last `seq` of its stream, checks that the next event is the next one, and after a cut comes back
with `since`. They speak the protocol themselves, as little of it as they need, so that what is measured is the server.

    {"connect": [{"host", "port", "path", "headers", "stream", "since"}, …]}   answers when all are in
    {"until": {stream: seq, …}, "seconds": s}   waits until every client is there; tells what it got since the last time
    {"restless": seconds}   from now on each is cut, at random, after so long on average; 0: no more
    {"cut": true}           all at once
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from typing import Any

TEXT, CLOSE, PING = 1, 8, 9
PONG, MASKED, NO_MASK = 0x8A, 0x80, b"\x00\x00\x00\x00"
LOOK_SECONDS = 0.05
TRIES_MAX = 60
HANDSHAKE_SECONDS = 20.0
CONNECTING_AT_ONCE = 50
AGAIN_SECONDS = (0.05, 0.5)


class Client(asyncio.Protocol):
    """One client through all its connections. `since` None: its server does not replay, and nothing is checked."""

    def __init__(self, crowd: "Crowd", plan: dict[str, Any]) -> None:
        self.crowd = crowd
        self.plan = plan
        self.last: int | None = plan["since"]
        self.stream: str = plan["stream"]
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Returns when the handshake is done. RuntimeError when it never is."""
        for _ in range(TRIES_MAX):
            loop = asyncio.get_running_loop()
            self._entered = loop.create_future()
            try:
                async with self.crowd.connecting:
                    await loop.create_connection(lambda: self, self.plan["host"], self.plan["port"])
                    async with asyncio.timeout(HANDSHAKE_SECONDS):
                        await self._entered
                return
            except (OSError, TimeoutError):
                self.cut()
                await asyncio.sleep(random.uniform(*AGAIN_SECONDS))
        raise RuntimeError(f"no connection to {self.plan['path']}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self._buffer = transport, b""
        since = "" if self.last is None else f"&since={self.last}"
        headers = {
            "Host": f"{self.plan['host']}:{self.plan['port']}", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13", **self.plan["headers"],
        }  # fmt: skip
        lines = [
            f"GET {self.plan['path']}{since} HTTP/1.1",
            *(f"{k}: {v}" for k, v in headers.items()),
            "",
            "",
        ]
        transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._entered.done():
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                print(head.decode(), file=sys.stderr)
                os._exit(1)  # nothing that is measured after this would mean anything
            self._entered.set_result(None)
            self._buffer = rest
        self._take_frames(now)

    def _take_frames(self, now: float) -> None:
        """Frames of a server are whole and not masked."""
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            start, size = at + 2, buffer[at + 1]
            if size >= 126:
                wide = 2 if size == 126 else 8
                start += wide
                size = int.from_bytes(buffer[at + 2 : start])
            if len(buffer) < start + size:
                break
            body, opcode = buffer[start : start + size], buffer[at] & 15
            at = start + size
            if opcode == TEXT:
                self._take(json.loads(body), now)
            elif opcode == PING:
                assert self.transport is not None and len(body) < 126
                self.transport.write(bytes([PONG, MASKED | len(body)]) + NO_MASK + body)
            elif opcode == CLOSE:
                self.crowd.closes[int.from_bytes(body[:2])] += 1
        self._buffer = buffer[at:]

    def _take(self, message: dict[str, Any], now: float) -> None:
        if "seq" not in message:
            return
        seq = message["seq"]
        if self.last is not None:
            if seq != self.last + 1:
                self.crowd.faults.append(f"{self.stream}: {seq} came after {self.last}")
            self.last = seq
        self.crowd.took(self.stream, seq, now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._entered.done():
            self._entered.set_exception(ConnectionError("cut during the handshake"))
        elif not self.crowd.ending and not self._entered.cancelled():
            self.crowd.reconnects += 1
            self.crowd.later(self._again())

    async def _again(self) -> None:
        await asyncio.sleep(random.uniform(*AGAIN_SECONDS))
        await self.connect()

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Crowd:
    """All clients of this process, and what they have got since it was last told."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self.faults: list[str] = []
        self.closes: Counter[int] = Counter()
        self.reconnects = 0
        self.ending = False
        self._received: list[tuple[str, int, float]] = []
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._restless: asyncio.Task[None] | None = None

    def took(self, stream: str, seq: int, now: float) -> None:
        self._received.append((stream, seq, now))
        self._news.set()

    def later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def connect(self, plans: list[dict[str, Any]]) -> dict[str, Any]:
        fresh = [Client(self, plan) for plan in plans]
        self.clients += fresh
        await asyncio.gather(*(client.connect() for client in fresh))
        return {"connected": len(fresh)}

    async def until(self, heads: dict[str, int], seconds: float) -> dict[str, Any]:
        """What each client must have: for those that are not checked, so many events as were counted by the last."""
        deadline = time.monotonic() + seconds
        mine = [client for client in self.clients if client.stream in heads]
        wanted = sum(heads[client.stream] for client in mine if client.last is None)

        def is_there() -> bool:
            here = all(client.last is None or client.last >= heads[client.stream] for client in mine)
            return here and (not wanted or len(self._received) >= wanted)

        while not is_there() and time.monotonic() < deadline:
            self._news.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._news.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(LOOK_SECONDS)
        behind = [f"{client.stream} at {client.last}" for client in mine
                  if client.last is not None and client.last < heads[client.stream]]  # fmt: skip
        received, self._received = self._received, []
        return {
            "complete": is_there() if not wanted else len(received) >= wanted, "behind": behind[:5],
            "received": received, "faults": self.faults[:5], "reconnects": self.reconnects, "closes": self.closes,
        }  # fmt: skip

    def be_restless(self, seconds: float) -> dict[str, Any]:
        if self._restless is not None:
            self._restless.cancel()
            self._restless = None
        if seconds:
            self._restless = asyncio.create_task(self._cut_for_ever(seconds))
        return {"restless": seconds}

    async def _cut_for_ever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(random.expovariate(len(self.clients) / seconds))
            random.choice(self.clients).cut()

    def cut_all(self) -> dict[str, Any]:
        for client in self.clients:
            client.cut()
        return {"cut": len(self.clients)}


async def obey() -> None:
    """Until the end of the input."""
    crowd = Crowd()
    reader = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if "connect" in order:
            answer = await crowd.connect(order["connect"])
        elif "until" in order:
            answer = await crowd.until(order["until"], order["seconds"])
        elif "restless" in order:
            answer = crowd.be_restless(order["restless"])
        else:
            answer = crowd.cut_all()
        print(json.dumps(answer), flush=True)
    crowd.ending = True


if __name__ == "__main__":
    asyncio.run(obey())
