"""Where a request comes from."""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # over a local socket there is none
IPV6_PREFIX = 64  # what one customer has: its addresses are all his


def client_address(request: HttpRequest) -> str:
    """The client's address: the peer's, or behind PROXY_COUNT proxies of ours what the outermost of them has seen. Of
    IPv6 the network that one customer has.

    Each proxy appends whom it serves to X-Forwarded-For, so the wanted entry is the PROXY_COUNT-th from the right;
    what stands before it the client may have written himself.
    """
    peer = _address(str(request.META.get("REMOTE_ADDR") or "")) or UNKNOWN
    if not settings.PROXY_COUNT:
        return peer
    told = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    seen = told[-settings.PROXY_COUNT] if len(told) >= settings.PROXY_COUNT else ""
    return _address(seen) or peer


def _address(text: str) -> str | None:
    """Of `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:5678`; None for what is no address."""
    bare = (
        text[1:].split("]")[0]
        if text.startswith("[")
        else text.split(":")[0]
        if text.count(":") == 1
        else text
    )
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address.packed, IPV6_PREFIX), strict=False).network_address)
