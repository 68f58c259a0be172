"""One HTTP exchange, sent once, whose whole answer comes within a deadline (see `foundation/sockets.py`).

Nothing is repeated, no redirect is followed, no proxy is taken from the environment, and a body has a limit.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from foundation.core.decimal_json import parse
from foundation.sockets import Deadline, DeadlineBackend, Exchange, nothing, tls_context

BODY_BYTES_MAX = 8 * 1024 * 1024  # 500 orders with legs are about 1 MiB
KEEP_SECONDS = 30.0  # an idle connection; servers drop theirs after about a minute


class NoAnswer(Exception):
    """There is no answer that means anything. `sent`: whether a byte of the request may have left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True)
class Answer:
    """`payload` is the JSON document, numbers as Decimal; None where the body is none (see `is_json`)."""

    status: int
    headers: Mapping[str, str]
    payload: Any
    is_json: bool


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
        before_first_byte: Callable[[], None] = nothing,
        after_last_byte: Callable[[], None] = nothing,
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
