"""HTTP/1.1 over asyncio streams, by hand: so that an answer can be late, slow, garbage or never come.

Only what clients of this protocol send: a head, a body with Content-Length, kept connections.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 1_000_000
DRIBBLE_PAUSES = 20


@dataclass(frozen=True)
class Request:
    """header names in lower case; head: the bytes as they came, for the WebSocket's handshake."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    head: bytes

    def json(self) -> Any:
        """The body's JSON, None for an empty one; raises ValueError."""
        return json.loads(self.body) if self.body else None


@dataclass
class Response:
    """manner: plain; `hang` never answers; `close` breaks the connection; `dribble` takes `seconds` for the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "plain"
    wait: float = 0.0
    """seconds before anything of it is sent"""
    seconds: float = 0.0
    afterwards: Callable[[], None] | None = None
    """done once the answer is out (or would have been)"""


def json_response(status: int, body: Any = None, **headers: str) -> Response:
    if body is None:
        return Response(status, b"", headers)
    return Response(
        status, json.dumps(body).encode(), {"Content-Type": "application/json; charset=UTF-8"} | headers
    )


Application = Callable[[Request], Awaitable[Response]]
Upgrade = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, application: Application, upgrade: Upgrade
) -> None:
    """All requests of one connection, until either side has had enough. Never raises for what a peer does."""
    try:
        while (request := await _read_request(reader)) is not None:
            if request.headers.get("upgrade", "").lower() == "websocket":
                await upgrade(request, reader, writer)
                return
            response = await application(request)
            kept = await _send(response, reader, writer)
            if response.afterwards:
                response.afterwards()
            if not kept or request.headers.get("connection", "").lower() == "close":
                return
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError):
        pass  # the client has gone, or talks nonsense
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if length > BODY_BYTES_MAX or "transfer-encoding" in headers:
        raise ValueError("a body that no client of this protocol sends")
    body = await reader.readexactly(length)
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, body, head)


async def _send(response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection may be used again."""
    if response.wait:
        await asyncio.sleep(response.wait)
    if response.manner == "hang":
        await reader.read()  # until the client gives up
        return False
    if response.manner == "close":
        writer.transport.abort()
        return False
    head = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
    headers = response.headers | (
        {} if response.status == 204 else {"Content-Length": str(len(response.body))}
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start_line = head.encode("latin-1") + b"\r\n"
    if response.manner == "dribble":
        writer.write(start_line)
        size = max(len(response.body) // DRIBBLE_PAUSES, 1)
        for start in range(0, len(response.body), size):
            await writer.drain()
            await asyncio.sleep(response.seconds / DRIBBLE_PAUSES)
            writer.write(response.body[start : start + size])
    else:
        writer.write(start_line + response.body)
    await writer.drain()
    return True
