"""Sockets that end with a deadline, and that know the moment before the first byte.

httpx alone bounds each read, so a server that sends a byte now and then holds a caller for ever. Here each wait (name
lookup, connecting, TLS, writing, reading) gets what is left of the exchange's deadline. The socket is also where it is
certain that the connection is open and nothing has been written yet: there `before_first_byte` is called, on a fresh
and on a kept connection alike, and what it raises leaves the request unsent.
"""

import functools
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

_RESOLVERS_MAX = threading.BoundedSemaphore(8)


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


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Made once in a process: reading the authorities takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)


def nothing() -> None:
    pass


def any_address(addresses: Sequence[str]) -> None:
    """No address is refused."""


@dataclass
class Exchange:
    """What the socket needs to know of the exchange that uses it now."""

    deadline: Deadline
    before_first_byte: Callable[[], None] = nothing
    after_last_byte: Callable[[], None] = nothing
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
    """Connects within the exchange's deadline, over all addresses of the host together.

    `check` gets the addresses that a name stands for, before any is connected to; the connection goes to one of
    those very addresses. It raises OSError to refuse them.
    """

    def __init__(
        self, current: Callable[[], Exchange], *, check: Callable[[Sequence[str]], None] = any_address
    ) -> None:
        self._current = current
        self._check = check

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            deadline = self._current().deadline
            return DeadlineStream(connected(host, port, deadline, check=self._check), self._current)


def connected(
    host: str, port: int, deadline: Deadline, *, check: Callable[[Sequence[str]], None] = any_address
) -> socket.socket:
    """A TCP connection. Raises OSError, which TimeoutError is one of."""
    failure: OSError = OSError("the host has no address")
    found = _addresses(host, port, deadline)
    check([str(address[0]) for *_, address in found])
    for family, kind, protocol, _, address in found:
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
    except UnicodeError as error:  # an empty label, or one that is too long
        raise OSError(f"{host[:80]!r} is no name of a host") from error
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
