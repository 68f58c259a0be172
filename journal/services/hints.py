"""Hints: "this stream has reached this seq", published to the channel layer after the commit.

A hint decides nothing. A lost one costs a moment: every follower looks at the heads in the table
every few seconds. So it is sent once, with short timeouts, and after a failure not at all for a
while: a black-holed Valkey slows no commit down.

Services run in plain threads and in prefork children, where no event loop runs, so the message is
published by the synchronous client, in the very form in which `RedisPubSubChannelLayer.group_send`
would: any Channels consumer can follow the group.
"""

import os
import threading
import time
from collections.abc import Mapping
from uuid import UUID

import redis
import structlog
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

PAUSE_SECONDS_MIN = 0.5
PAUSE_SECONDS_MAX = 5.0
HINT_TYPE = "journal.hint"


def group_of(stream: UUID) -> str:
    """The channel layer's group that gets the hints of a stream."""
    return f"journal.{stream}"


def group_address(stream: UUID) -> str:
    """The Valkey channel under which the pub/sub layer listens for that group."""
    return f"{layer_prefix()}__group__{group_of(stream)}"


def layer_prefix() -> str:
    return str(channel_layers.configs["default"]["CONFIG"]["prefix"])


class _Publisher:
    """One connection pool for each process, and a breaker in front of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._pid = 0
        self._paused_until = 0.0
        self._pause_seconds = PAUSE_SECONDS_MIN

    def publish(self, hints: Mapping[UUID, int]) -> bool:
        if time.monotonic() < self._paused_until:
            return False
        try:
            layer = get_channel_layer()
            pipeline = self._connected().pipeline(transaction=False)
            for stream, seq in hints.items():
                message = {"type": HINT_TYPE, "stream": str(stream), "seq": seq}
                pipeline.publish(group_address(stream), layer.serialize(message))
            pipeline.execute()
        except Exception as error:
            # Whatever it is, the caller's work is committed and the followers will find it by themselves.
            self._pause(error)
            return False
        self._pause_seconds = PAUSE_SECONDS_MIN
        return True

    def _connected(self) -> redis.Redis:
        """The client of this process: a forked child must not share its parent's sockets."""
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
                self._client = redis.Redis.from_url(
                    settings.REDIS_URL,
                    socket_timeout=timeout,
                    socket_connect_timeout=timeout,
                    # Once more at once after a reset, which is how a restarted server shows itself;
                    # never after a timeout.
                    retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
                    max_connections=32,
                )
                self._pid = os.getpid()
            return self._client

    def _pause(self, error: Exception) -> None:
        with self._lock:
            self._paused_until = time.monotonic() + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, PAUSE_SECONDS_MAX)
        log.warning("journal_hints_lost", error=repr(error))


_publisher = _Publisher()


def send_hints(hints: Mapping[UUID, int]) -> bool:
    """Publish stream → last seq to the followers. Never raises; False when they must find out alone."""
    return _publisher.publish(hints)
