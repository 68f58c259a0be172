"""WebSocket addresses."""

from journal.stream.application import Message, Receive, Send, events

PATH = "/ws/events"


async def websocket_application(scope: Message, receive: Receive, send: Send) -> None:
    """The project's WebSocket application: `/ws/events`, and a refusal of the handshake elsewhere."""
    if scope["path"] == PATH:
        await events(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 1000})
