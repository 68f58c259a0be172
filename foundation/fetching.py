"""Asking a service whose address somebody typed in, without lending it our network or our time.

Server-side request forgery is asking us for what only we can reach. So an address is https on port 443 or 8443,
without a login; **every** address that its name stands for must be public, and the connection goes to one of those
that were looked at (a name that stands for something else a moment later gains nothing). Redirects and proxies of the
environment are not followed. Hosts that an operator names in `allowed_hosts` are trusted: they may be private, on any
port, and speak http.

The whole exchange (name, connection, TLS, headers, body) ends with one deadline, so a server that sends a byte now and
then holds nobody; a body has a limit, and is not taken compressed, so that it does not inflate.
"""

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from foundation.sockets import Deadline, DeadlineBackend, Exchange, any_address, tls_context

PORTS = (443, 8443)
URL_LENGTH_MAX = 500
"""of what somebody types in"""
VALIDATOR_LENGTH_MAX = 200
_EMBEDDING = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
"""NAT64, 6to4, Teredo, IPv4-compatible: they lead to an IPv4 address that is not looked at here"""


class UnsafeAddress(ValueError):
    """The address is none that we ask. The message says why, and shows no part of it but host and port."""


class FetchFailed(Exception):
    """There is no answer to use. `retry_after`: seconds that the server asks us to wait."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class _Refused(OSError):
    """What a name stands for is not public."""


@dataclass(frozen=True)
class Validators:
    """What the last answer said of its version, to be sent with the next question."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Fetched:
    body: bytes
    validators: Validators


@dataclass(frozen=True)
class NotModified:
    """The answer is the one that the validators are of."""


def checked_url(
    url: str, *, allowed_hosts: Collection[str] = (), length_max: int = URL_LENGTH_MAX
) -> SplitResult:
    """The parts of an address that may be asked. Raises UnsafeAddress."""
    if len(url) > length_max or not url.isascii() or not url.isprintable() or " " in url:
        raise UnsafeAddress(f"it must have at most {length_max} characters of ASCII, without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UnsafeAddress("it is no URL") from None
    trusted = host is not None and host in allowed_hosts
    if parts.scheme != "https" and not (trusted and parts.scheme == "http"):
        raise UnsafeAddress("it must begin with https://")
    if not host:
        raise UnsafeAddress("it names no host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UnsafeAddress("it must hold no login and no fragment")
    if trusted:
        return parts
    if port is not None and port not in PORTS:
        raise UnsafeAddress(f"its port must be one of {', '.join(map(str, PORTS))}, not {port}")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return parts
    if not is_public(str(literal)):
        raise UnsafeAddress(f"{host} is not a public address")
    return parts


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet's; nothing that only we can reach, whatever it is written as."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.is_site_local or any(ip in network for network in _EMBEDDING):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def fetch(
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    token: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    validators: Validators = Validators(),
    deadline_seconds: float,
    bytes_max: int,
    url_length_max: int = URL_LENGTH_MAX,
) -> Fetched | NotModified:
    """One GET, sent once. `token` goes as a bearer's, `headers` beside it. `url_length_max` is for callers that put the
    address together themselves. Raises UnsafeAddress, FetchFailed; neither shows what was sent."""
    parts = checked_url(url, allowed_hosts=allowed_hosts, length_max=url_length_max)
    trusted = parts.hostname in allowed_hosts
    exchange = Exchange(Deadline(deadline_seconds))
    transport = _Transport(DeadlineBackend(lambda: exchange, check=any_address if trusted else _only_public))
    client = httpx.Client(
        transport=transport, timeout=deadline_seconds, follow_redirects=False, trust_env=False
    )
    try:
        with (
            client,
            client.stream("GET", url, headers={**headers, **_headers(token, validators)}) as response,
        ):
            return _answer(response, validators, bytes_max)
    except httpx.TimeoutException:
        raise FetchFailed(f"no whole answer within {deadline_seconds:g} s") from None
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise FetchFailed(_reason(error)) from None


class _Transport(httpx.HTTPTransport):
    """httpx's own, over our sockets: it has no argument for a network backend, so its pool is replaced."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        super().__init__(verify=tls_context(), trust_env=False, retries=0)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(),
            max_connections=1,
            http1=True,
            http2=False,
            retries=0,
            network_backend=backend,
        )


def _only_public(addresses: Sequence[str]) -> None:
    for address in addresses:
        if not is_public(address):
            raise _Refused("its name stands for an address that is not public")


def _headers(token: str | None, validators: Validators) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "autotrading"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    return headers


def _answer(response: httpx.Response, validators: Validators, bytes_max: int) -> Fetched | NotModified:
    status = response.status_code
    if status == 304 and validators != Validators():
        return NotModified()
    if 300 <= status < 400:
        raise FetchFailed(f"it answered {status}: redirects are not followed")
    if status != 200:
        raise FetchFailed(f"it answered {status}", retry_after=_retry_after(response.headers))
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed("its answer is compressed, which was not asked for")
    parts, size = [], 0
    for part in response.iter_raw():
        size += len(part)
        if size > bytes_max:
            raise FetchFailed(f"its answer has more than {bytes_max} bytes")
        parts.append(part)
    told = Validators(
        etag=_validator(response.headers, "etag"), last_modified=_validator(response.headers, "last-modified")
    )
    return Fetched(b"".join(parts), told)


def _validator(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name, "")
    return text if len(text) <= VALIDATOR_LENGTH_MAX and text.isascii() and text.isprintable() else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); None where it says neither."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _reason(error: BaseException) -> str:
    """The kind alone (texts of errors may hold the address), but for what we refused ourselves."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _Refused):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return f"the connection broke ({type(error).__name__})"
