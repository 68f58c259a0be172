"""The floor: a Channels consumer that passes on what its group is sent. It remembers nothing, and repairs nothing."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 - it needs the settings


def group_of(stream: str) -> str:
    return f"bare.{stream}"


class Passing(AsyncWebsocketConsumer):
    """`?{stream}` names the group."""

    async def connect(self) -> None:
        self.group = group_of(self.scope["query_string"].decode())
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def told(self, message: dict[str, Any]) -> None:
        await self.send(text_data=message["text"])


application = Passing.as_asgi()
