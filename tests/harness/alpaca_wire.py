"""A server that speaks just enough HTTP to answer Alpaca's adapter byte by byte, as a test says.

`answers` are used up in order, one for each request; afterwards `routes` answer (path without query -> status and
document). What came is kept: connections, requests, and bytes of whatever was not a whole request yet.
"""

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.sync.server import ServerConnection, serve

Answer = Callable[[socket.socket], None]
STOCK = "AAA"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def whole(status: int, document: Any = None, *, body: bytes | None = None, **headers: str) -> bytes:
    """A complete HTTP answer."""
    content = body if body is not None else b"" if document is None else json.dumps(document).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def reply(status: int, document: Any = None, **options: Any) -> Answer:
    return lambda sock: sock.sendall(whole(status, document, **options))


def raw(content: bytes, *, then_close: bool = True) -> Answer:
    def answer(sock: socket.socket) -> None:
        sock.sendall(content)
        if then_close:
            sock.shutdown(socket.SHUT_RDWR)

    return answer


def hang_up(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def silence(sock: socket.socket) -> None:
    """Until the other side has had enough."""
    sock.settimeout(20)
    while sock.recv(4096):
        pass


def dribble(content: bytes, *, every_seconds: float = 0.05) -> Answer:
    """A byte now and then: each single read of the client ends in time, the answer never does."""

    def answer(sock: socket.socket) -> None:
        for byte in content:
            sock.sendall(bytes([byte]))
            time.sleep(every_seconds)

    return answer


@dataclass
class AlpacaWire:
    answers: deque[Answer] = field(default_factory=deque)
    routes: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    received: int = 0
    on_request: Callable[[Request], None] = lambda request: None
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        _end(self._listener)
        self.drop_all()

    def drop_all(self) -> None:
        """Hang up every connection, as a server does with those that nobody uses."""
        for sock in self._open:
            _end(sock)
        self._open.clear()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until:
            time.sleep(0.005)
        return condition()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        buffer = b""
        try:
            while True:
                while (request := _cut(buffer, number)) is None:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    self.received += len(piece)
                    buffer += piece
                one, buffer = request
                self.requests.append(one)
                self.on_request(one)
                self._answer(one)(sock)
        except OSError:
            return
        finally:
            sock.close()

    def _answer(self, request: Request) -> Answer:
        if self.answers:
            return self.answers.popleft()
        status, document = self.routes.get(request.path, (404, {"code": 40410000, "message": "not found"}))
        return reply(status, document)


def _end(sock: socket.socket) -> None:
    """A thread that waits at the socket keeps it open through `close` alone."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _cut(buffer: bytes, connection: int) -> tuple[Request, bytes] | None:
    """The first whole request and what comes after it."""
    head, separator, rest = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    method, target, _ = first.split(" ")
    return Request(method, target, headers, rest[:length], connection), rest[length:]


@contextmanager
def alpaca_wire() -> Iterator[AlpacaWire]:
    server = AlpacaWire()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def alpaca_socket(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    """A WebSocket server for one test; its address as the adapter's base URL."""
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(timeout=5)


def order_document(**changes: Any) -> dict[str, Any]:
    """An order as Alpaca writes it; nanoseconds, text numbers and all."""
    return {
        "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
        "client_order_id": "one",
        "created_at": "2026-11-25T14:30:00.1234567Z",
        "updated_at": "2026-11-25T14:30:00.223456789Z",
        "submitted_at": "2026-11-25T14:30:00.123456789Z",
        "filled_at": None,
        "symbol": STOCK,
        "asset_class": "us_equity",
        "notional": None,
        "qty": "10",
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "market",
        "type": "market",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": None,
        "stop_price": None,
        "status": "new",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        **changes,
    }


def account_document(**changes: Any) -> dict[str, Any]:
    return {
        "id": "e6fe16f3-64a4-4921-8928-cadf02f92f98",
        "account_number": "PA3WIRE00001",
        "status": "ACTIVE",
        "currency": "USD",
        "cash": "100000.25",
        "buying_power": "400001",
        "trading_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        **changes,
    }


def fill_document(**changes: Any) -> dict[str, Any]:
    """A fill as the account activities tell it."""
    return {
        "id": "20261125093000223::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
        "activity_type": "FILL",
        "transaction_time": "2026-11-25T14:30:00.223Z",
        "type": "fill",
        "price": "101.5",
        "qty": "10",
        "side": "buy",
        "symbol": STOCK,
        "leaves_qty": "0",
        "order_id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
        "cum_qty": "10",
        **changes,
    }
