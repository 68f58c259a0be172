"""Reading `/ws/events` as a client that only wants the events."""

import json
from typing import Any

from websockets.sync.client import ClientConnection


def next_event(socket: ClientConnection, *, timeout: float) -> dict[str, Any]:
    """The next event; heartbeats are passed over. TimeoutError after `timeout` seconds without any message."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=timeout))
        if message["kind"] != "stream.heartbeat":
            return message
