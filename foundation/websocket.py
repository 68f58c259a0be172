"""A WebSocket to a service elsewhere: opened within a deadline, over a socket of ours, found dead by pings."""

import logging
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from foundation.sockets import Deadline, connected, tls_context

MESSAGE_BYTES_MAX = 1024 * 1024
QUEUE_FRAMES_MAX = 64
PING_SECONDS = 10.0
CLOSE_SECONDS = 1.0
LOST = (WebSocketException, OSError, EOFError)
"""what a connection ends with that is no longer there"""

# websockets shows whole frames at DEBUG, and the first frame holds the keys: it never gets that far.
_frames = logging.getLogger("foundation.websocket.frames")
_frames.setLevel(logging.WARNING)


def open_websocket(url: str, deadline: Deadline, *, ping_seconds: float = PING_SECONDS) -> ClientConnection:
    """`url`: ws:// or wss://. Raises what is in LOST, and ValueError for a redirect, which is not followed."""
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    assert parts.hostname is not None, "the settings have seen to it"
    sock = connected(parts.hostname, parts.port or (443 if secure else 80), deadline)
    try:
        return connect(
            url,
            sock=sock,
            ssl=tls_context() if secure else None,
            proxy=None,
            compression=None,
            open_timeout=deadline.left(),
            ping_interval=ping_seconds,
            ping_timeout=ping_seconds,
            close_timeout=CLOSE_SECONDS,
            max_size=MESSAGE_BYTES_MAX,
            max_queue=QUEUE_FRAMES_MAX,
            logger=_frames,
        )
    except BaseException:
        sock.close()
        raise
