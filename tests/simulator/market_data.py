"""A source of market data for tests: a process that speaks Alpaca's data stream, and misbehaves when told to.

    python -m tests.simulator.market_data --port 8398 --log /tmp/data.jsonl

    GET  /v2/{feed}             the WebSocket: connected, auth, subscribe, then quotes, trades, dailyBars, statuses
    GET  /v2/stocks/bars        daily bars in pages of `page` bars, within `start` and `end`
    POST /control/keys          {"key", "secret"}: who may log in (anybody before that)
    POST /control/say           {"messages": […]}: one frame to all who listen
    POST /control/raw           {"text"}: a frame that need be no JSON
    POST /control/walk          {"symbols", "seed", "per_second", "mischief": {name: share}}: goes on until `rest`
    POST /control/rest          {}
    POST /control/cut           {}: break all connections
    POST /control/refuse        {"seconds"}: break them, and answer nobody for so long
    POST /control/mute          {"seconds"}: say nothing and answer no ping, but keep the connections
    POST /control/error         {"code", "count"}: what the next logins are told
    POST /control/bars          {"bars": {symbol: […]}, "page": 2}
    GET  /v1/corporate-actions  what becomes of the symbols, processed within `start` and `end`
    POST /control/actions       {"actions": {"forward_splits": […], …}}
    POST /control/answers       {"manner": "plain" | "hang" | "dribble" | "garbage", "seconds"}: of the bars
    GET  /control/state         {"listeners", "connections", "logins", "subscribed"}

A symbol that is malformed spoils the whole question or subscription: 400.

Mischief of a walk: crossed zero nan jump repeated out_of_order future garbage. The log has each message that was said,
with what is wrong with it ("" for nothing), written before it is said.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.simulator.clock import Clock
from tests.simulator.corporate_actions import first_malformed, invalid_symbol, told
from tests.simulator.log import EventLog
from tests.simulator.stream import READ_BYTES, Listener
from tests.simulator.wire import HEAD_BYTES_MAX, Request, Response, json_response, serve_connection

HOST = "127.0.0.1"
MISCHIEF = ("crossed", "zero", "nan", "jump", "repeated", "out_of_order", "future", "garbage")
GARBAGE = '[{"T":"q","S":"AAPL","bp":1'


class MarketData:
    """Everything of one process. `run` ends with SIGTERM or SIGINT."""

    def __init__(self, *, port: int, log: Path) -> None:
        self.port = port
        self.log = EventLog(log, Clock())
        self.keys: tuple[str, str] | None = None
        self.listeners: set[Listener] = set()
        self.writers: set[asyncio.StreamWriter] = set()
        self.counts: Counter[str] = Counter()
        self.subscribed: dict[str, Any] = {}
        self.errors: list[int] = []
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.page = 1000
        self.actions: dict[str, list[dict[str, Any]]] = {}
        self.answers: dict[str, Any] = {"manner": "plain"}
        self.muted_until = 0.0
        self.refused_until = 0.0
        self.walking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        ended = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, ended.set)
        await asyncio.start_server(self._connected, HOST, self.port, limit=HEAD_BYTES_MAX, reuse_address=True)
        await ended.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            await serve_connection(reader, writer, self._answer, self._serve)
        except asyncio.CancelledError:
            pass
        finally:
            self.writers.discard(writer)

    # the stream

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if _now() < self.refused_until:
            writer.transport.abort()
            return
        protocol = ServerProtocol(max_size=1_000_000)
        protocol.receive_data(request.head)
        listener = Listener(protocol, writer, binary=False)
        try:
            for event in protocol.events_received():
                assert isinstance(event, Handshake)
                known = request.path.startswith("/v2/")
                protocol.send_response(
                    protocol.accept(event) if known else protocol.reject(404, "not found\n")
                )
        except InvalidHandshake:
            return
        listener.flush()
        self.counts["connections"] += 1
        listener.send([{"T": "success", "msg": "connected"}])
        try:
            await self._read(protocol, listener, reader)
        finally:
            self.listeners.discard(listener)

    async def _read(self, protocol: ServerProtocol, listener: Listener, reader: asyncio.StreamReader) -> None:
        while protocol.state is not State.CLOSED:
            data = await reader.read(READ_BYTES)
            while _now() < self.muted_until:  # not even a pong
                await asyncio.sleep(0.05)
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
            for event in protocol.events_received():
                if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                    self._hear(listener, json.loads(event.data))
            listener.flush()
            if not data:
                return

    def _hear(self, listener: Listener, message: dict[str, Any]) -> None:
        match message.get("action"):
            case "auth":
                self.counts["logins"] += 1
                if self.errors:
                    listener.send([{"T": "error", "code": self.errors.pop(0), "msg": "as it was scripted"}])
                elif self.keys in (None, (message.get("key"), message.get("secret"))):
                    listener.send([{"T": "success", "msg": "authenticated"}])
                    listener.listens = True
                else:
                    listener.send([{"T": "error", "code": 402, "msg": "auth failed"}])
            case "subscribe" if listener.listens and _is_understood(message):
                self.subscribed = {name: value for name, value in message.items() if name != "action"}
                self.listeners.add(listener)
                listener.send([{"T": "subscription", **self.subscribed}])
            case _:
                listener.send([{"T": "error", "code": 400, "msg": "invalid syntax"}])

    def say(self, text: str) -> None:
        if _now() < self.muted_until:
            return
        for listener in list(self.listeners):
            listener.send(text)

    # what a test can do

    async def _answer(self, request: Request) -> Response:
        if request.path == "/v2/stocks/bars":
            return self._history(request)
        if request.path == "/v1/corporate-actions":
            self.counts["pages"] += 1
            return told(self.actions, request.query)
        given = request.json() or {}
        match request.path.removeprefix("/control/"):
            case "keys":
                self.keys = given["key"], given["secret"]
            case "say":
                self.say(json.dumps(given["messages"]))
            case "raw":
                self.say(given["text"])
            case "walk":
                self._rest()
                self.walking = asyncio.get_running_loop().create_task(self._walk(**given))
            case "rest":
                self._rest()
            case "cut" | "refuse":
                self.refused_until = _now() + given.get("seconds", 0.0)
                for listener in list(self.listeners):
                    listener.cut()
            case "mute":
                self.muted_until = _now() + given["seconds"]
            case "error":
                self.errors += [given["code"]] * given["count"]
            case "bars":
                self.bars, self.page = given["bars"], given.get("page", 1000)
            case "actions":
                self.actions = given["actions"]
            case "answers":
                self.answers = given
            case "state":
                return json_response(
                    200, {**self.counts, "listeners": len(self.listeners), "subscribed": self.subscribed}
                )
            case _:
                return json_response(404, {"message": "not found"})
        return json_response(200, {})

    def _rest(self) -> None:
        if self.walking is not None:
            self.walking.cancel()
            self.walking = None

    def _history(self, request: Request) -> Response:
        keys = request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key")
        if self.keys not in (None, keys):
            return json_response(403, {"message": "forbidden"})
        query = request.query
        symbol = query["symbols"]
        if first_malformed([symbol]) is not None:
            return invalid_symbol(symbol)
        chosen = [bar for bar in self.bars.get(symbol, []) if query["start"] <= bar["t"][:10] <= query["end"]]
        begin = int(query.get("page_token", "0"))
        end = begin + min(self.page, int(query["limit"]))
        self.counts["pages"] += 1
        body = {
            "bars": {symbol: chosen[begin:end]},
            "next_page_token": str(end) if end < len(chosen) else None,
        }
        manner = self.answers["manner"]
        if manner == "garbage":
            return Response(200, b'{"bars": [1', {"Content-Type": "application/json"})
        response = json_response(200, body)
        response.manner, response.seconds = manner, self.answers.get("seconds", 0.0)
        return response

    async def _walk(
        self, symbols: list[str], seed: int, per_second: float, mischief: dict[str, float]
    ) -> None:
        """Quotes around prices that drift by cents, each with its own time; some of them wrong."""
        assert set(mischief) <= set(MISCHIEF), mischief
        rng = random.Random(seed)
        cents = dict.fromkeys(symbols, 10_000)
        last: dict[str, dict[str, Any]] = {}
        while True:
            symbol = rng.choice(symbols)
            cents[symbol] = max(cents[symbol] + rng.choice((-2, -1, 1, 2)), 5_000)
            good = {"T": "q", "S": symbol, "bp": (cents[symbol] - 1) / 100, "ap": (cents[symbol] + 1) / 100}
            good |= {"bs": 1, "as": 1, "t": _text(datetime.now(UTC))}
            wrong = next((name for name, share in mischief.items() if rng.random() < share), "")
            message = _spoiled(wrong, good, last.get(symbol, good))
            self.log.write("said", wrong=wrong, message=message)
            self.say(GARBAGE if wrong == "garbage" else json.dumps([message]))
            if not wrong:
                last[symbol] = good
            await asyncio.sleep(1 / per_second)


def _is_understood(subscription: dict[str, Any]) -> bool:
    named = [symbol for name, symbols in subscription.items() if name != "action" for symbol in symbols]
    return first_malformed(named) is None


def _spoiled(wrong: str, good: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    match wrong:
        case "crossed":
            return good | {"bp": good["ap"], "ap": good["bp"]}
        case "zero":
            return good | {"bp": 0}
        case "nan":
            return good | {"ap": float("nan")}
        case "jump":
            return good | {"bp": good["bp"] * 3, "ap": good["ap"] * 3}
        case "repeated":
            return last
        case "out_of_order":
            return good | {"t": _text(now - timedelta(minutes=1))}
        case "future":
            return good | {"t": _text(now + timedelta(hours=1))}
        case _:
            return good


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


def _now() -> float:
    return asyncio.get_running_loop().time()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.simulator.market_data", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="the log; it is appended to")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(MarketData(port=given.port, log=given.log).run())


if __name__ == "__main__":
    main()
