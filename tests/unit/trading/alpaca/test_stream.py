"""The trade-updates socket: entered when it listens, and every message is looked at before it is told."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from foundation.websocket import MESSAGE_BYTES_MAX
from tests.harness.alpaca_wire import AlpacaWire, alpaca_socket, fill_document, order_document, reply, whole
from tests.unit.trading.alpaca.conftest import DEADLINE_SECONDS, KEYS
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.alpaca.translation import TELLING, execution_of_activity, order_of
from trading.brokers.protocol import AskFailed, BadReport, ExecutionStream, NotConnected, StreamEvent
from trading.core.order_states import OrderState

D = Decimal
Make = Callable[..., AlpacaBroker]
AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
UNAUTHORIZED = {"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}


def welcome(ws: ServerConnection) -> None:
    """As Alpaca greets good keys."""
    told = json.loads(ws.recv())
    assert told == {"action": "auth", "key": KEYS.key_id, "secret": KEYS.secret}
    ws.send(json.dumps(AUTHORIZED))
    assert json.loads(ws.recv()) == {"action": "listen", "data": {"streams": ["trade_updates"]}}
    ws.send(json.dumps(LISTENING))


def update(event: str, order: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"stream": "trade_updates", "data": {"event": event, "order": order or order_document(), **more}}


def partly(quantity: str, cumulative: str, **more: Any) -> dict[str, Any]:
    order = order_document(status="partially_filled", filled_qty=cumulative, filled_avg_price="101.5")
    return update(
        "partial_fill", order, qty=quantity, price="101.5", timestamp="2026-11-25T14:30:00.223456789Z",
        execution_id="2f63ea93-423d-4169-b3f6-3fdafc10c418", position_qty=cumulative, **more,
    )  # fmt: skip


@contextmanager
def streaming(connect: Make, messages: list[Any], *, then: str = "wait") -> Iterator[ExecutionStream]:
    """Open, with these messages on their way; bytes go as a binary frame."""

    def handler(ws: ServerConnection) -> None:
        welcome(ws)
        for message in messages:
            ws.send(message if isinstance(message, str | bytes) else json.dumps(message))
        if then == "wait":
            for _ in ws:
                pass

    with alpaca_socket(handler) as url, connect(url).stream() as stream:
        yield stream


def test_a_fill_is_told_with_its_order(connect: Make) -> None:
    with streaming(connect, [partly("4", "7")]) as stream:
        told = next(iter(stream))
    assert isinstance(told, StreamEvent)
    assert (told.order.state, told.order.filled_quantity) == (OrderState.PARTIALLY_FILLED, 7)
    execution = told.execution
    assert execution is not None
    assert (execution.quantity, execution.price, execution.fee) == (D(4), D("101.5"), D(0))
    assert (execution.client_order_id, execution.symbol, execution.side) == ("one", "AAA", "buy")
    assert execution.at.isoformat() == "2026-11-25T14:30:00.223456+00:00"
    assert told.received["execution_id"] == "2f63ea93-423d-4169-b3f6-3fdafc10c418"


def test_a_fill_has_the_same_id_from_both_sources(connect: Make) -> None:
    with streaming(connect, [partly("4", "7.50")]) as stream:
        told = next(iter(stream))
    activity = execution_of_activity(
        fill_document(type="partial_fill", qty="4", cum_qty="7.5"), order_of(order_document())
    )
    assert isinstance(told, StreamEvent) and told.execution is not None
    assert told.execution.execution_id == activity.execution_id


@pytest.mark.parametrize("encode", [str.encode, lambda text: text], ids=["binary", "text"])
def test_frames_may_be_binary(connect: Make, encode: Callable[[str], str | bytes]) -> None:
    with streaming(connect, [encode(json.dumps(update("new")))]) as stream:
        told = next(iter(stream))
    assert isinstance(told, StreamEvent) and told.execution is None
    assert told.order.state == OrderState.ACCEPTED


@pytest.mark.parametrize("event", sorted(TELLING))
def test_each_event_that_only_tells_brings_the_order(connect: Make, event: str) -> None:
    with streaming(connect, [update(event)]) as stream:
        told = next(iter(stream))
    assert isinstance(told, StreamEvent) and told.execution is None


BAD: list[Any] = [
    update("trade_bust"),
    update("trade_correct"),
    update("levitated"),
    update("new", order_document(symbol="")),
    update("new", order_document(qty="NaN")),
    update("new", {"id": "x"}),
    {"stream": "trade_updates", "data": {"event": "new"}},
    {"stream": "trade_updates", "data": []},
    partly("8", "7"),  # fills more than is filled
    partly("-1", "7"),
    {**partly("1", "7"), "data": {**partly("1", "7")["data"], "price": "NaN"}},
    {**partly("1", "7"), "data": {**partly("1", "7")["data"], "timestamp": None}},
    json.dumps(partly("1", "7")).replace('"1"', "NaN"),
    json.dumps(partly("1", "7")).replace('"1"', "1e99999999999999999999"),
    {"stream": "weather", "data": {}},
    "no JSON",
    b"\xff\xfe",
    "[1]",
    "[" * 100_000,
]


@pytest.mark.parametrize("message", BAD, ids=lambda message: str(message)[:40])
def test_what_cannot_be_is_reported_and_the_stream_goes_on(connect: Make, message: Any) -> None:
    with streaming(connect, [message, update("new")]) as stream:
        events = iter(stream)
        report = next(events)
        assert isinstance(report, BadReport) and report.payload
        json.dumps(report.payload, allow_nan=False)
        assert isinstance(next(events), StreamEvent)


@pytest.mark.parametrize(
    ("event", "cure"), [("trade_bust", ": reverse it"), ("trade_correct", "do not reverse it")]
)
def test_what_is_to_be_done_about_a_fill_of_before_is_told(connect: Make, event: str, cure: str) -> None:
    with streaming(connect, [update(event)]) as stream:
        report = next(iter(stream))
    assert isinstance(report, BadReport) and str(report).startswith(event) and cure in str(report)


def test_silence_is_told_about_once_a_second(connect: Make) -> None:
    with streaming(connect, []) as stream:
        events, began = iter(stream), time.monotonic()
        assert [next(events), next(events)] == [None, None]
        assert 1.5 < time.monotonic() - began < 6


def test_what_comes_before_the_confirmation_is_not_lost(connect: Make) -> None:
    def handler(ws: ServerConnection) -> None:
        ws.recv()
        ws.send(json.dumps(AUTHORIZED))
        ws.recv()
        ws.send(json.dumps(update("new")))
        ws.send(json.dumps(LISTENING))
        for _ in ws:
            pass

    with alpaca_socket(handler) as url, connect(url).stream() as stream:
        assert isinstance(next(iter(stream)), StreamEvent)


ENDS: list[tuple[str, Any]] = [
    ("hung up", None),
    ("error", {"action": "error", "data": {"error_message": "internal server error"}}),
    ("logged out", UNAUTHORIZED),
    ("no longer listening", {"stream": "listening", "data": {"streams": []}}),
]


@pytest.mark.parametrize("last", [row[1] for row in ENDS], ids=[row[0] for row in ENDS])
def test_a_stream_that_is_lost_says_so(connect: Make, last: Any) -> None:
    messages = [update("new"), *([last] if last else [])]
    with streaming(connect, messages, then="close" if last is None else "wait") as stream:
        events = iter(stream)
        assert isinstance(next(events), StreamEvent)
        with pytest.raises(AskFailed):
            next(events)


def test_a_message_without_end_ends_the_stream(connect: Make) -> None:
    with streaming(connect, ["x" * (MESSAGE_BYTES_MAX + 1)]) as stream, pytest.raises(AskFailed):
        next(iter(stream))


def test_refused_keys_are_said_so(connect: Make) -> None:
    def handler(ws: ServerConnection) -> None:
        ws.recv()
        ws.send(json.dumps(UNAUTHORIZED))

    with (
        alpaca_socket(handler) as url,
        pytest.raises(NotConnected, match="refuses the keys"),
        connect(url).stream(),
    ):
        pytest.fail("not entered")


def _answers(*messages: Any) -> Callable[[ServerConnection], None]:
    def handler(ws: ServerConnection) -> None:
        for message in messages:
            ws.recv()
            ws.send(json.dumps(message))
        for _ in ws:
            pass

    return handler


NOT_OPEN: list[tuple[str, Callable[[ServerConnection], None]]] = [
    ("never authorizes", lambda ws: time.sleep(DEADLINE_SECONDS + 0.5)),
    ("never listens", _answers(AUTHORIZED)),
    ("listens to something else", _answers(AUTHORIZED, {"stream": "listening", "data": {"streams": ["x"]}})),
    ("begins with something else", _answers({"stream": "weather", "data": {}})),
    ("hangs up", lambda ws: ws.close()),
]


@pytest.mark.parametrize("handler", [row[1] for row in NOT_OPEN], ids=[row[0] for row in NOT_OPEN])
def test_it_is_entered_only_once_it_listens(
    connect: Make, handler: Callable[[ServerConnection], None]
) -> None:
    began = time.monotonic()
    with alpaca_socket(handler) as url, pytest.raises(AskFailed), connect(url).stream():
        pytest.fail("not entered")
    assert time.monotonic() - began < DEADLINE_SECONDS + 4


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_a_refused_handshake_is_no_stream(wire: AlpacaWire, broker: AlpacaBroker, status: int) -> None:
    wire.answers.append(reply(status, None, Location="ws://127.0.0.1:1/stream"))
    with pytest.raises(AskFailed), broker.stream():
        pytest.fail("not entered")
    assert [request.path for request in wire.requests] == ["/stream"]


def test_a_handshake_that_refuses_the_keys_says_so(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(403))
    with pytest.raises(NotConnected), broker.stream():
        pytest.fail("not entered")


def test_a_dribbled_handshake_ends_within_the_deadline(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    def dribbled(sock: Any) -> None:
        for byte in whole(101, None, Upgrade="websocket", Connection="Upgrade"):
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    wire.answers.append(dribbled)
    began = time.monotonic()
    with pytest.raises(AskFailed), broker.stream():
        pytest.fail("not entered")
    assert time.monotonic() - began < DEADLINE_SECONDS + 3


def test_nobody_there_is_no_stream(wire: AlpacaWire, connect: Make) -> None:
    url = wire.url
    wire.stop()
    with pytest.raises(AskFailed), connect(url).stream():
        pytest.fail("not entered")
