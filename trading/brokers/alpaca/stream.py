"""Alpaca's trade-updates socket (https://docs.alpaca.markets/docs/websocket-streaming).

Open means: connected, authenticated, and "listening" to trade_updates confirmed, all within one deadline. JSON comes in
text or binary frames (the paper host sends binary ones). Pings find out that a silent connection is dead.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from foundation.core.decimal_json import parse
from foundation.sockets import Deadline
from foundation.websocket import LOST, QUEUE_FRAMES_MAX, open_websocket
from portfolios.services.credentials import ApiKeys
from trading.brokers.alpaca import reading
from trading.brokers.alpaca.translation import (
    CORRECTIONS,
    FILLS,
    TELLING,
    execution_of_event,
    order_of,
)
from trading.brokers.protocol import AskFailed, BadReport, BrokerOrder, NotConnected, StreamEvent

SILENCE_SECONDS = 1.0


@contextmanager
def open_stream(
    base_url: str, *, keys: ApiKeys, deadline_seconds: float, note: Callable[[BrokerOrder], Any]
) -> Iterator["AlpacaStream"]:
    """`note` is told each order that comes by. Raises AskFailed, NotConnected (the keys are refused)."""
    deadline = Deadline(deadline_seconds)
    try:
        connection = open_websocket(f"{base_url.replace('http', 'ws', 1)}/stream", deadline)
    except InvalidStatus as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise NotConnected(f"Alpaca refuses this connection (HTTP {status}).") from None
        raise AskFailed(f"no stream: HTTP {status}") from None
    except (
        *LOST,
        ValueError,
    ) as error:  # ValueError: a redirect, which it does not follow with a socket of ours
        raise AskFailed(f"no stream: {type(error).__name__}") from None
    with connection:
        try:
            _log_in(connection, keys, deadline)
            first = _listen(connection, keys, deadline)
        except LOST as error:
            raise AskFailed(f"no stream: {type(error).__name__}") from None
        yield AlpacaStream(connection, keys, note, first)


def _log_in(connection: ClientConnection, keys: ApiKeys, deadline: Deadline) -> None:
    connection.send(json.dumps({"action": "auth", "key": keys.key_id, "secret": keys.secret}))
    data = _awaited(connection, "authorization", keys, deadline)
    if data.get("status") != "authorized":
        raise NotConnected("Alpaca refuses the keys of this account on its stream.")


def _listen(connection: ClientConnection, keys: ApiKeys, deadline: Deadline) -> list[str | bytes]:
    """Returns what came already between, for nothing may be missed."""
    connection.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    early: list[str | bytes] = []
    data = _awaited(connection, "listening", keys, deadline, early)
    streams = data.get("streams")
    if not isinstance(streams, list) or "trade_updates" not in streams:
        raise AskFailed("Alpaca does not let us listen to trade_updates")
    return early


def _awaited(
    connection: ClientConnection, stream: str, keys: ApiKeys, deadline: Deadline,
    early: list[str | bytes] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The data of the next message of that stream; updates that come before it go into `early`."""
    for _ in range(QUEUE_FRAMES_MAX):
        raw = connection.recv(timeout=deadline.left())
        message = _message(raw, keys)
        data = message.get("data")
        if message.get("stream") == "trade_updates" and early is not None:
            early.append(raw)
        elif message.get("stream") == stream and isinstance(data, dict):
            return data
        elif message.get("stream") == "authorization":
            raise NotConnected("Alpaca refuses the keys of this account on its stream.")
        else:
            raise AskFailed("the stream began with something else")
    raise AskFailed("the stream did not begin")


def _message(raw: str | bytes, keys: ApiKeys) -> dict[str, Any]:
    """Empty where it is no JSON object."""
    try:
        message = reading.struck(parse(raw), keys)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class AlpacaStream:
    """Implements `trading.brokers.protocol.ExecutionStream`."""

    def __init__(
        self, connection: ClientConnection, keys: ApiKeys, note: Callable[[BrokerOrder], Any],
        first: list[str | bytes],
    ) -> None:  # fmt: skip
        self._connection = connection
        self._keys = keys
        self._note = note
        self._first = first

    def __iter__(self) -> Iterator[StreamEvent | BadReport | None]:
        while self._first:
            yield self._told(self._first.pop(0))
        while True:
            try:
                raw = self._connection.recv(timeout=SILENCE_SECONDS)
            except TimeoutError:
                yield None
                continue
            except LOST as error:
                raise AskFailed(f"the stream was lost ({type(error).__name__})") from None
            yield self._told(raw)

    def _told(self, raw: str | bytes) -> StreamEvent | BadReport | None:
        """Raises AskFailed when it says that it is over."""
        message = _message(raw, self._keys)
        stream, data = message.get("stream"), message.get("data")
        if stream == "trade_updates" and isinstance(data, dict):
            try:
                return self._event(data)
            except BadReport as report:
                return report
        if stream == "authorization" or message.get("action") == "error":
            raise AskFailed("Alpaca ended the stream")
        if stream == "listening":
            listens = data.get("streams") if isinstance(data, dict) else None
            if isinstance(listens, list) and "trade_updates" in listens:
                return None
            raise AskFailed("Alpaca does not let us listen any more")
        return reading.bad("the message is none that is known", message or {"bytes": len(raw)})

    def _event(self, data: dict[str, Any]) -> StreamEvent:
        """Raises BadReport."""
        name = reading.text(data, "event")
        if name in CORRECTIONS:
            raise reading.bad(f"{name}: {CORRECTIONS[name]}", data)
        if name not in FILLS and name not in TELLING:
            raise reading.bad("the event is none that is known", data)
        if not isinstance(data.get("order"), dict):
            raise reading.bad("it tells no order", data)
        order = order_of(data["order"])
        execution = execution_of_event(data, order) if name in FILLS else None
        self._note(order)
        return StreamEvent(order=order, execution=execution, received=reading.plain(data))
