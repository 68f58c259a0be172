"""One HTTP exchange with a deadline: name lookup, connecting, TLS, writing, headers and body together end within it.

httpx alone bounds each read, so a server that sends a byte now and then holds a caller for ever. Here each wait of the
socket gets what is left of the exchange's deadline. The socket is also where it is certain that the connection is open
and nothing has been written yet: there `before_first_byte` is called, on a fresh and on a kept connection alike, and
what it raises leaves the request unsent. Nothing is repeated, no redirect is followed, no proxy is taken from the
environment.
"""

import functools
import json
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpcore
import httpx

BODY_BYTES_MAX = 8 * 1024 * 1024  # 500 orders with legs are about 1 MiB
KEEP_SECONDS = 30.0  # an idle connection; servers drop theirs after about a minute
_RESOLVERS_MAX = threading.BoundedSemaphore(8)


class NoAnswer(Exception):
    """There is no answer that means anything. `sent`: whether a byte of the request may have left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Deadline:
    """A moment of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, above zero. Raises TimeoutError."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


@dataclass(frozen=True)
class Answer:
    """`payload` is the JSON document, numbers as Decimal; None where the body is none (see `is_json`)."""

    status: int
    headers: Mapping[str, str]
    payload: Any
    is_json: bool


def _nothing() -> None:
    pass


@dataclass
class Exchange:
    """What the socket needs to know of the exchange that uses it now."""

    deadline: Deadline
    before_first_byte: Callable[[], None] = _nothing
    after_last_byte: Callable[[], None] = _nothing
    wrote: bool = False
    answered: bool = False

    def writing(self) -> None:
        if not self.wrote:
            self.before_first_byte()
            self.wrote = True

    def reading(self) -> None:
        if not self.answered:
            self.answered = True
            self.after_last_byte()


@contextmanager
def _mapped(timed_out: type[Exception], failed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise timed_out(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error


class DeadlineStream(httpcore.NetworkStream):
    """A connected socket whose every wait ends with the exchange's deadline."""

    def __init__(self, sock: socket.socket, current: Callable[[], Exchange]) -> None:
        self._sock = sock
        self._current = current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = self._current()
        exchange.reading()
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            self._sock.settimeout(exchange.deadline.left())
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        exchange = self._current()
        exchange.writing()
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            view = memoryview(buffer)
            while view:
                self._sock.settimeout(exchange.deadline.left())
                view = view[self._sock.send(view) :]

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._sock.settimeout(self._current().deadline.left())
                wrapped = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
            except Exception:
                self.close()
                raise
        return DeadlineStream(wrapped, self._current)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection that can be read was closed by the server
            return bool(_readable(self._sock))
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return self._sock if info == "socket" else None


def _readable(sock: socket.socket) -> list[Any]:
    if sock.fileno() < 0:
        return [sock]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll(0)


class DeadlineBackend(httpcore.NetworkBackend):
    """Connects within the exchange's deadline, over all addresses of the host together."""

    def __init__(self, current: Callable[[], Exchange]) -> None:
        self._current = current

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            return DeadlineStream(connected(host, port, self._current().deadline), self._current)


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection. Raises OSError, which TimeoutError is one of."""
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left())
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> list[Any]:
    """The C library's lookup knows no timeout, so it runs in a thread that is left behind when it takes too long."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.put(error)
        finally:
            _RESOLVERS_MAX.release()

    if not _RESOLVERS_MAX.acquire(timeout=deadline.left()):
        raise TimeoutError("the name service does not answer")
    threading.Thread(target=look_up, name="name-lookup", daemon=True).start()
    try:
        outcome = found.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError("the name service does not answer") from None
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Made once in a process: reading the authorities takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)


class _Transport(httpx.HTTPTransport):
    """httpx's own, over our sockets: it has no argument for a network backend, so its pool is replaced."""

    def __init__(self, backend: httpcore.NetworkBackend, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False, retries=0)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=KEEP_SECONDS,
            http1=True,
            http2=False,
            retries=0,
            network_backend=backend,
        )


class Wire:
    """A kept connection to one host; one exchange at a time, not shared between threads."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str], deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._exchange = Exchange(Deadline(deadline_seconds))
        self._client = httpx.Client(
            base_url=base_url,
            headers={**headers, "Accept-Encoding": "identity", "Accept": "application/json"},
            transport=_Transport(DeadlineBackend(lambda: self._exchange), tls_context()),
            timeout=deadline_seconds,
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        before_first_byte: Callable[[], None] = _nothing,
        after_last_byte: Callable[[], None] = _nothing,
        within: Deadline | None = None,
    ) -> Answer:
        """Send once and read the whole answer. `within`: of several exchanges together, if it ends earlier.

        Raises NoAnswer, and whatever `before_first_byte` raises: then no byte has left.
        """
        seconds = self._deadline_seconds
        try:
            seconds = min(seconds, within.left()) if within else seconds
        except TimeoutError:
            raise NoAnswer("the answers took too long together", sent=False) from None
        exchange = Exchange(Deadline(seconds), before_first_byte, after_last_byte)
        self._exchange = exchange
        request = self._client.build_request(
            method, path, params=params, json=body, timeout=self._deadline_seconds
        )
        try:
            response = self._client.send(request, stream=True)
            try:
                raw = _bounded_body(response)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise NoAnswer(f"no answer within {seconds:g} s ({_name(error)})", sent=exchange.wrote) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise NoAnswer(f"the connection broke ({_name(error)})", sent=exchange.wrote) from None
        payload, is_json = _parsed(raw)
        return Answer(response.status_code, response.headers, payload, is_json)


def _name(error: Exception) -> str:
    """The kind alone: texts of errors hold addresses, and httpx's hold the request."""
    return type(error).__name__


def _bounded_body(response: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_raw():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise httpx.DecodingError("the body is too large")
        parts.append(part)
    return b"".join(parts)


def _parsed(raw: bytes) -> tuple[Any, bool]:
    try:
        return parse(raw), True
    except (ValueError, RecursionError):
        return None, False


def parse(raw: bytes | str) -> Any:
    """JSON with numbers as Decimal; what Python lets pass as NaN and Infinity becomes such a Decimal, which no check
    of ours lets pass. Raises ValueError, RecursionError."""
    return json.loads(raw, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
