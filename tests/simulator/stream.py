"""/stream: authenticate, listen to trade_updates, hear every event of one's orders; and what goes wrong on the way.

Alpaca's paper API sends binary frames, so this does too unless told otherwise. Whoever was not connected is not told
later: as at Alpaca, the past is for REST.
"""

import asyncio
import copy
import json
from typing import Any

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.simulator.accounts import Account
from tests.simulator.answers import WRONG_SYMBOL, negative_quantity
from tests.simulator.book import Book
from tests.simulator.clock import to_text
from tests.simulator.mischief import STREAM, Mischief, Occasion, Rule
from tests.simulator.orders import Execution, Order, plain, seeded_id, told
from tests.simulator.wire import Request

READ_BYTES = 65_536
WAITING_BYTES_MAX = 16_000_000
"""a client that does not read is cut off beyond this"""
GARBAGE = b'{"stream": "trade_up\xff'


class Listener:
    """One WebSocket. Sends at once, without waiting; a lost connection swallows what is sent."""

    def __init__(self, protocol: ServerProtocol, writer: asyncio.StreamWriter, *, binary: bool) -> None:
        self._protocol = protocol
        self._writer = writer
        self._binary = binary
        self.account: Account | None = None
        self.listens = False

    def send(self, message: dict[str, Any] | list[Any] | str | bytes) -> None:
        """A text is sent as it stands, whatever it is; so are bytes."""
        if isinstance(message, bytes):
            data = message
        else:
            data = (message if isinstance(message, str) else json.dumps(message)).encode()
        if self._protocol.state is not State.OPEN or self._writer.transport.is_closing():
            return
        if self._binary or isinstance(message, bytes):
            self._protocol.send_binary(data)
        else:
            self._protocol.send_text(data)
        self.flush()

    def flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof() and not self._writer.transport.is_closing():
                self._writer.write_eof()
        if self._writer.transport.get_write_buffer_size() > WAITING_BYTES_MAX:
            self.cut()

    def cut(self) -> None:
        """Break the connection without a word."""
        self._writer.transport.abort()


class Streams:
    """All listeners. Registered as a listener of the book."""

    def __init__(self, book: Book, mischief: Mischief, *, binary: bool) -> None:
        self.book = book
        self.mischief = mischief
        self.binary = binary
        self._listeners: set[Listener] = set()
        self._kept: dict[str, tuple[Account, dict[str, Any]]] = {}
        """order id -> a message that waits for the order's next one"""
        book.listeners.append(self.tell)

    async def serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection from its handshake to its end."""
        protocol = ServerProtocol(max_size=1_000_000)
        protocol.receive_data(request.head)
        listener = Listener(protocol, writer, binary=self.binary)
        try:
            for event in protocol.events_received():
                assert isinstance(event, Handshake)
                if request.path == "/stream":
                    protocol.send_response(protocol.accept(event))
                else:
                    protocol.send_response(protocol.reject(404, "not found\n"))
        except InvalidHandshake:
            return
        listener.flush()
        self._listeners.add(listener)
        try:
            await self._read(protocol, listener, reader)
        finally:
            self._listeners.discard(listener)
            if listener.account is not None:
                self.book.log.write("stream_closed", account=listener.account.key)

    async def _read(self, protocol: ServerProtocol, listener: Listener, reader: asyncio.StreamReader) -> None:
        while protocol.state is not State.CLOSED:
            data = await reader.read(READ_BYTES)
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
            for event in protocol.events_received():
                if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                    self._hear(listener, bytes(event.data))
            listener.flush()
            if not data:
                return

    def _hear(self, listener: Listener, data: bytes) -> None:
        try:
            message = json.loads(data)
            action, facts = message.get("action"), message.get("data") or message
            if action in ("authenticate", "auth"):
                self._authenticate(listener, facts)
            elif action == "listen":
                self._listen(listener, facts)
            else:
                listener.send({"stream": "error", "data": {"error": f"invalid action: {action}"}})
        except (ValueError, AttributeError):
            listener.send({"stream": "error", "data": {"error": "invalid message"}})

    def _authenticate(self, listener: Listener, facts: dict[str, Any]) -> None:
        account = self.book.accounts.get(facts.get("key_id") or facts.get("key") or "")
        secret = facts.get("secret_key") or facts.get("secret")
        answer = {"action": "authenticate", "status": "authorized"}
        if account is None or account.secret != secret:
            answer = {
                "action": "authenticate",
                "message": "access key verification failed",
                "status": "unauthorized",
            }
        else:
            listener.account = account
            self.book.log.write("stream_opened", account=account.key)
        listener.send({"stream": "authorization", "data": answer})

    def _listen(self, listener: Listener, facts: dict[str, Any]) -> None:
        if listener.account is None:
            refusal = {"action": "listen", "status": "unauthorized"}
            listener.send({"stream": "authorization", "data": refusal})
            return
        streams = [name for name in facts.get("streams", []) if name == "trade_updates"]
        listener.listens = bool(streams)
        listener.send({"stream": "listening", "data": {"streams": streams}})

    # telling

    def tell(self, account: Account, event: str, order: Order, execution: Execution | None) -> None:
        """An event of the book, told to the account's listeners, unless a rule says otherwise.

        Where nobody listens nothing is told, so nothing goes wrong with it either.
        """
        if not any(item.listens and item.account is account for item in self._listeners):
            self._kept.pop(order.id, None)
            return
        message = self._message(event, order, execution)
        occasion = Occasion(account.key, "", order.client_order_id, order.symbol, event)
        rule = self.mischief.pick(STREAM, occasion)
        waiting = self._kept.pop(order.id, None)
        if rule is None:
            self._send(account, message)
        else:
            self._misbehave(rule, account, order, message)
        if waiting is not None:
            self._send(*waiting)

    def _message(self, event: str, order: Order, execution: Execution | None) -> dict[str, Any]:
        data: dict[str, Any] = {"event": event, "order": told(order)}
        if execution is None:
            # as at Alpaca, an event that fills nothing has an execution id too
            data["execution_id"] = seeded_id(self.book.seed, event, order.id, order.updated_at)
            data["timestamp"] = to_text(order.updated_at)
        else:
            data["execution_id"] = execution.execution_id
            data["timestamp"] = to_text(execution.at)
            data["price"] = plain(execution.price)
            data["qty"] = plain(execution.quantity)
            data["position_qty"] = plain(execution.position)
        return {"stream": "trade_updates", "data": data}

    def _send(self, account: Account, message: dict[str, Any] | bytes) -> None:
        for listener in list(self._listeners):
            if listener.listens and listener.account is account:
                listener.send(message)

    def _misbehave(self, rule: Rule, account: Account, order: Order, message: dict[str, Any]) -> None:
        later = asyncio.get_running_loop().call_later
        if rule.name == "stream_drop":
            return
        if rule.name == "stream_cut":
            self.cut(account)
        elif rule.name == "stream_late":
            later(rule.seconds, self._send, account, message)
        elif rule.name == "stream_reorder":
            self._kept[order.id] = (account, message)
            later(rule.seconds, self._no_longer_keep, order, message)
        elif rule.name == "stream_twice":
            self._send(account, message)
            self._send(account, message)
        elif rule.name == "stream_garbage":
            self._send(account, GARBAGE)
        else:
            self._send(account, _spoiled(rule, message))

    def _no_longer_keep(self, order: Order, message: dict[str, Any]) -> None:
        waiting = self._kept.get(order.id)
        if waiting is not None and waiting[1] is message:
            del self._kept[order.id]
            self._send(*waiting)

    def cut(self, account: Account | None = None) -> int:
        """Break the streams of an account, or all; how many."""
        chosen = [item for item in self._listeners if account is None or item.account is account]
        for listener in chosen:
            listener.cut()
        return len(chosen)


def _spoiled(rule: Rule, message: dict[str, Any]) -> dict[str, Any]:
    spoiled = copy.deepcopy(message)
    data = spoiled["data"]
    if rule.name == "stream_wrong_symbol":
        data["order"]["symbol"] = WRONG_SYMBOL
    elif rule.name == "stream_nan_price":
        data["price"] = "NaN"
        data["order"]["filled_avg_price"] = "NaN"
    else:
        negative_quantity(data)
        negative_quantity(data["order"])
    return spoiled
