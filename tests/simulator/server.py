"""The process: one port of this machine, for /v2, /stream and /control."""

import asyncio
import contextlib
import signal
from pathlib import Path

from tests.simulator.book import Book
from tests.simulator.clock import Clock
from tests.simulator.control import Control
from tests.simulator.log import EventLog
from tests.simulator.market import Market
from tests.simulator.matching import Matching
from tests.simulator.mischief import Mischief
from tests.simulator.rest import Rest
from tests.simulator.stream import Streams
from tests.simulator.wire import HEAD_BYTES_MAX, Request, Response, serve_connection

HOST = "127.0.0.1"
BACKLOG = 1024


class Server:
    """Everything, wired together. `run` ends with SIGTERM or SIGINT."""

    def __init__(self, *, port: int, log: Path, seed: int, binary: bool) -> None:
        self.port = port
        clock = Clock()
        self.log = EventLog(log, clock)
        self.log.write("start", seed=seed)
        self.market = Market(seed)
        book = Book(seed=seed, clock=clock, log=self.log, market=self.market)
        mischief = Mischief(seed=seed, log=self.log)
        matching = Matching(book)
        self._streams = Streams(book, mischief, binary=binary)
        self._rest = Rest(book, matching, mischief, clock)
        self._rest.lose_connections = self.lose_connections
        self._control = Control(book, matching, mischief, self._streams, self.lose_connections)
        self._listening: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._reopening: asyncio.Task[None] | None = None

    async def run(self) -> None:
        ended = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, ended.set)
        await self._listen()
        await ended.wait()
        self._stop_listening()
        self.log.write("end")

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(
            self._connected, HOST, self.port, limit=HEAD_BYTES_MAX, backlog=BACKLOG, reuse_address=True
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await serve_connection(reader, writer, self._answer, self._streams.serve)
        except asyncio.CancelledError:
            pass  # the process ends
        finally:
            self._connections.discard(writer)

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith("/control/"):
            return await self._control.answer(request)
        return await self._rest.answer(request)

    def lose_connections(self, seconds: float) -> None:
        """Break all connections; whoever connects within these seconds is refused by the system."""
        self._stop_listening()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.get_running_loop().create_task(self._listen_again(seconds))

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for writer in list(self._connections):
            writer.transport.abort()

    async def _listen_again(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            with contextlib.suppress(OSError):  # somebody else's socket may have the port for a moment
                await self._listen()
                return
            await asyncio.sleep(0.05)
