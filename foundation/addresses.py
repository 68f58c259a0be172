"""Where a request comes from."""

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # over a local socket there is none


def client_address(request: HttpRequest) -> str:
    """The client's address: the peer's, or behind PROXY_COUNT proxies of ours what the outermost of them has seen.

    Each proxy appends whom it serves to X-Forwarded-For, so the wanted entry is the PROXY_COUNT-th from the right;
    what stands before it the client may have written himself.
    """
    peer = str(request.META.get("REMOTE_ADDR") or UNKNOWN)
    if not settings.PROXY_COUNT:
        return peer
    told = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    return told[-settings.PROXY_COUNT] if len(told) >= settings.PROXY_COUNT else peer
