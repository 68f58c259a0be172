"""Hears the hints of all streams that this process follows, over one connection to Valkey.

It listens at the addresses of the channel layer's groups, but by a connection of its own: the
layer's has no read timeout and no sign of life, so a black-holed Valkey would keep it waiting for
ever. Here silence is answered with a PING, and silence after that with a new connection. What is
lost meanwhile the hub's poll finds in the table.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import redis.asyncio
import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ValkeyConnectionError

from journal.services.hints import HINT_TYPE, group_address, layer_prefix

log = structlog.get_logger(__name__)

SUBSCRIBE_SECONDS = 1.0
PING_AFTER_SECONDS = 3.0
CLOSE_SECONDS = 1.0


class Listener:
    """`heard(stream, seq)` is called in the event loop for each hint."""

    def __init__(self, heard: Callable[[UUID, int], None]) -> None:
        self._heard = heard
        self._confirmed: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._broken = False
        self._commands = asyncio.Lock()

    async def follow(self, streams: Iterable[UUID]) -> None:
        """Return when the hints of these streams are sure to come, or when it is clear that they are not."""
        addresses = [group_address(stream) for stream in streams]
        new = [address for address in addresses if address not in self._confirmed]
        for address in new:
            self._confirmed[address] = asyncio.Event()
        if self._broken:
            return  # the next connection subscribes to everything that is wanted
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                async with self._commands:
                    if self._pubsub is not None and new:
                        await self._pubsub.subscribe(*new)
                for address in addresses:
                    if address in self._confirmed:
                        await self._confirmed[address].wait()
        except (TimeoutError, OSError, redis.RedisError) as error:
            log.warning("journal_hints_not_heard", error=repr(error))

    async def leave(self, streams: Iterable[UUID]) -> None:
        addresses = [group_address(stream) for stream in streams]
        gone = [address for address in addresses if self._confirmed.pop(address, None) is not None]
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS), self._commands:
                left = [address for address in gone if address not in self._confirmed]  # nobody came back
                if self._pubsub is not None and left:
                    await self._pubsub.unsubscribe(*left)
        except (TimeoutError, OSError, redis.RedisError) as error:
            log.warning("journal_hints_not_left", error=repr(error))

    async def listen(self) -> None:
        """Listen over one connection until it fails, which raises; call again."""
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT_SECONDS,
            socket_timeout=SUBSCRIBE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        pubsub = client.pubsub()
        try:
            await self._subscribe_to_all(pubsub)
            await self._read(pubsub)
        finally:
            self._pubsub, self._broken = None, True
            for confirmed in self._confirmed.values():
                confirmed.clear()
            async with asyncio.timeout(CLOSE_SECONDS):
                await pubsub.aclose()
                await client.aclose()

    async def _subscribe_to_all(self, pubsub: PubSub) -> None:
        subscribed: set[str] = set()
        # One address of our own, so that the connection is never without a subscription.
        own = f"{layer_prefix()}.listener"
        while missing := {own, *self._confirmed} - subscribed:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await pubsub.subscribe(*missing)
            subscribed |= missing
        self._pubsub, self._broken = pubsub, False

    async def _read(self, pubsub: PubSub) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=PING_AFTER_SECONDS)
            if message is not None:
                asked = False
                self._take(message)
            elif asked:
                raise ValkeyConnectionError("Valkey does not answer")
            else:
                asked = True
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            confirmed = self._confirmed.get(message["channel"].decode())
            if confirmed is not None:
                confirmed.set()
        elif message["type"] == "message":
            hint = get_channel_layer().deserialize(message["data"])
            if hint.get("type") == HINT_TYPE:
                self._heard(UUID(hint["stream"]), int(hint["seq"]))
