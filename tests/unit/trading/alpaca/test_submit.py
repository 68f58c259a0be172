"""Sending an order: gated at the last moment, sent once, and what each answer means."""

import socket
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.harness.alpaca_wire import (
    AlpacaWire,
    Answer,
    dribble,
    hang_up,
    order_document,
    raw,
    reply,
    silence,
    whole,
)
from tests.unit.trading.alpaca.conftest import DEADLINE_SECONDS, KEYS, open_gate, ticket
from trading.brokers.alpaca import broker as adapter
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.alpaca.translation import order_of
from trading.brokers.protocol import (
    Accepted,
    AskFailed,
    BadReport,
    GateClosed,
    NotCapable,
    NotConnected,
    NotSent,
    Rejected,
    Unknown,
)
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce

D = Decimal
Make = Callable[..., AlpacaBroker]


def refused(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


def test_an_order_is_sent_as_alpaca_reads_it(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(
        reply(200, order_document(symbol="BRK.B", side="sell", qty="1500", status="accepted"))
    )
    terms = OrderTerms(OrderType.STOP_LIMIT, TimeInForce.GTC, limit_price=D("99.50"), stop_price=D("100"))
    outcome = broker.submit(
        ticket(symbol="BRK.B", side="sell", quantity=D("1.5E+3"), terms=terms), gate=open_gate
    )
    assert isinstance(outcome, Accepted) and outcome.order.state == OrderState.ACCEPTED
    (request,) = wire.requests
    assert (request.method, request.path) == ("POST", "/v2/orders")
    assert request.json == {
        "symbol": "BRK.B", "qty": "1500", "side": "sell", "type": "stop_limit", "time_in_force": "gtc",
        "client_order_id": "one", "limit_price": "99.5", "stop_price": "100",
    }  # fmt: skip
    assert request.headers["apca-api-key-id"] == KEYS.key_id
    assert request.headers["apca-api-secret-key"] == KEYS.secret


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (OrderTerms(), {}),
        (OrderTerms(OrderType.LIMIT, limit_price=D(5)), {"limit_price": "5"}),
        (OrderTerms(OrderType.STOP, stop_price=D("4.2")), {"stop_price": "4.2"}),
        (OrderTerms(OrderType.TRAILING_STOP, trail_percentage=D("2.50")), {"trail_percent": "2.5"}),
    ],
)
def test_each_type_sends_its_own_prices(
    wire: AlpacaWire, broker: AlpacaBroker, terms: OrderTerms, told: dict[str, str]
) -> None:
    wire.answers.append(reply(200, order_document()))
    broker.submit(ticket(terms=terms), gate=open_gate)
    prices = {"limit_price", "stop_price", "trail_percent"}
    assert {name: value for name, value in wire.requests[0].json.items() if name in prices} == told


class Watch:
    """A gate that notes what the server had seen when it was asked, and then says what it is told to."""

    def __init__(self, wire: AlpacaWire, refusal: Exception | None = None) -> None:
        self.wire, self.refusal = wire, refusal
        self.seen: list[tuple[int, int]] = []

    def __call__(self) -> None:
        self.wire.wait_for(lambda: self.wire.connections > 0)
        time.sleep(0.05)  # bytes that had left would have come by now
        self.seen.append((self.wire.connections, self.wire.received))
        if self.refusal is not None:
            raise self.refusal


def test_the_gate_is_asked_on_an_open_connection_before_the_first_byte(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    wire.answers.append(reply(200, order_document()))
    gate = Watch(wire)
    assert isinstance(broker.submit(ticket(), gate=gate), Accepted)
    assert gate.seen == [(1, 0)]


def test_a_kept_connection_is_gated_the_same(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers += [reply(200, order_document()), reply(200, order_document(client_order_id="two"))]
    broker.submit(ticket(), gate=open_gate)
    before = wire.received
    gate = Watch(wire)
    assert isinstance(broker.submit(ticket(client_order_id="two"), gate=gate), Accepted)
    assert gate.seen == [(1, before)]
    assert [request.connection for request in wire.requests] == [1, 1]


def test_a_closed_gate_lets_no_byte_out(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    gate = Watch(wire, GateClosed("halted"))
    with pytest.raises(GateClosed, match="halted"):
        broker.submit(ticket(), gate=gate)
    time.sleep(0.05)
    assert (len(gate.seen), wire.received, wire.requests) == (1, 0, [])
    wire.answers.append(reply(200, order_document()))  # and the adapter can go on
    assert isinstance(broker.submit(ticket(), gate=open_gate), Accepted)


def test_a_closed_gate_on_a_kept_connection_lets_no_byte_out(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(200, order_document()))
    broker.submit(ticket(), gate=open_gate)
    before = wire.received
    with pytest.raises(GateClosed):
        broker.submit(ticket(client_order_id="two"), gate=Watch(wire, GateClosed("halted")))
    time.sleep(0.05)
    assert (wire.received, len(wire.requests)) == (before, 1)


def test_whatever_goes_wrong_in_the_gate_nothing_is_sent(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    with pytest.raises(TimeoutError, match="the database"):
        broker.submit(ticket(), gate=Watch(wire, TimeoutError("the database")))
    assert wire.received == 0


def test_the_steps_are_reached_in_order(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int]] = []

    def note(name: str, *, detail: str) -> None:
        assert detail == ticket().client_order_id, "it says what it has in hand"
        if name == "send.sent":
            wire.wait_for(lambda: len(wire.requests) == 1)
        steps.append((name, len(wire.requests)))

    monkeypatch.setattr(adapter, "reach", note)
    wire.answers.append(reply(200, order_document()))
    broker.submit(ticket(), gate=lambda: steps.append(("gate", len(wire.requests))))
    assert steps == [("send.connected", 0), ("gate", 0), ("send.gated", 0), ("send.sent", 1)]


CERTAIN = [
    (400, refused(40010000, "request body format is invalid"), "40010000"),
    (403, refused(40310000, "insufficient buying power"), "40310000"),
    (404, refused(40410000, "asset not found"), "40410000"),
    (405, refused(40510000, "method not allowed"), "40510000"),
    (422, refused(42210000, "qty must be > 0"), "42210000"),
]


@pytest.mark.parametrize(("status", "document", "code"), CERTAIN)
def test_a_refusal_of_alpaca_is_certain(
    wire: AlpacaWire, broker: AlpacaBroker, status: int, document: dict[str, Any], code: str
) -> None:
    wire.answers.append(reply(status, document))
    assert broker.submit(ticket(), gate=open_gate) == Rejected(document["message"], code=code)


@pytest.mark.parametrize(
    ("status", "document"),
    [(401, {"message": "unauthorized."}), (401, refused(40110000, "request is not authorized")),
     (403, {"message": "forbidden."})],
)  # fmt: skip
def test_refused_keys_are_no_rejection_of_the_order(
    wire: AlpacaWire, broker: AlpacaBroker, status: int, document: dict[str, Any]
) -> None:
    """It was not looked at; with other keys it may be sent."""
    wire.answers.append(reply(status, document))
    with pytest.raises(NotConnected, match="refuses the keys"):
        broker.submit(ticket(), gate=open_gate)
    assert len(wire.requests) == 1


DOUBTFUL: list[tuple[str, Answer]] = [
    ("duplicate", reply(422, refused(40010001, "client_order_id must be unique"))),
    ("request timeout", reply(408, refused(40810000, "request timeout"))),
    ("conflict", reply(409, refused(40910000, "conflict"))),
    ("too early", reply(425, refused(42510000, "too early"))),
    ("rate limited", reply(429, refused(42910000, "rate limit exceeded"))),
    ("500", reply(500, refused(50010000, "internal server error occurred"))),
    ("502", reply(502, body=b"<html>Bad gateway</html>")),
    ("503", reply(503)),
    ("504", reply(504, refused(50410000, "timeout"))),
    ("599", reply(599)),
    ("a refusal that is not Alpaca's", reply(403, body=b"<html>blocked by a proxy</html>")),
    ("a 401 that is not Alpaca's", reply(401, body=b"<html>who are you?</html>")),
    ("a gateway's 404", reply(404, {"message": "no Route matched with those values"})),
    ("a refusal without a word", reply(400, {})),
    ("a redirect", reply(307, None, Location="/v2/orders")),
    ("no content", reply(204)),
    ("accepted without a word", reply(202, order_document())),
    ("no JSON", reply(200, body=b"accepted, thank you")),
    ("half JSON", reply(200, body=b'{"id": "61e69015')),
    ("a number beyond all bounds", reply(200, body=b'{"qty": 1e99999999999999999999}')),
    ("nested too deep", reply(200, body=b"[" * 200_000)),
    ("no HTTP", raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    ("closed without an answer", hang_up),
    ("closed in the headers", raw(b"HTTP/1.1 200 OK\r\nContent-Le")),
    ("closed in the body", raw(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"id": "61e6')),
    ("silence", silence),
    ("silence in the body", raw(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"id"', then_close=False)),
]


@pytest.mark.parametrize("answer", [row[1] for row in DOUBTFUL], ids=[row[0] for row in DOUBTFUL])
def test_everything_else_is_unknown_and_is_not_sent_again(
    wire: AlpacaWire, broker: AlpacaBroker, answer: Answer
) -> None:
    wire.answers.append(answer)
    outcome = broker.submit(ticket(), gate=open_gate)
    assert isinstance(outcome, Unknown) and outcome.reason
    time.sleep(0.1)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"X_Ratelimit_Reset": "in-30"}, 30),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "-3"}, None),
        ({"Retry_After": "99999999"}, 300),  # bounded
        ({}, None),
    ],
)
def test_who_is_limited_is_told_when_to_ask(
    wire: AlpacaWire, broker: AlpacaBroker, headers: dict[str, str], seconds: int | None
) -> None:
    headers = {
        name: str(time.time() + int(value[3:])) if value.startswith("in-") else value
        for name, value in headers.items()
    }
    wire.answers.append(reply(429, refused(42910000, "rate limit exceeded"), **headers))
    outcome = broker.submit(ticket(), gate=open_gate)
    assert isinstance(outcome, Unknown)
    if seconds is None:
        assert outcome.retry_after_seconds is None
    else:
        assert outcome.retry_after_seconds == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize(("remaining", "seconds"), [("195", None), ("0", 55)])
def test_a_failure_asks_for_no_pause_as_long_as_the_rate_is_not_used_up(
    wire: AlpacaWire, broker: AlpacaBroker, remaining: str, seconds: int | None
) -> None:
    """Alpaca tells its rate with every answer (forum.alpaca.markets/t/12029); cancels must not wait for it."""
    outcomes: list[Any] = []
    for _ in range(3):
        reset = str(time.time() + 55)
        wire.answers.append(
            reply(500, {"message": "internal server error"}, X_Ratelimit_Limit="200",
                  X_Ratelimit_Remaining=remaining, X_Ratelimit_Reset=reset)
        )  # fmt: skip
    outcomes.append(broker.submit(ticket(), gate=open_gate))
    outcomes.append(broker.cancel(order_of(order_document())))
    with pytest.raises(AskFailed) as failure:
        broker.order_by_client_id("one")
    outcomes.append(failure.value)
    for outcome in outcomes:
        assert outcome.retry_after_seconds == (seconds and pytest.approx(seconds, abs=2))


@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_dribbled_answer_ends_within_the_deadline(
    wire: AlpacaWire, broker: AlpacaBroker, where: str
) -> None:
    """Each byte comes in time; all together would take ten times the deadline."""
    content = whole(200, order_document())
    answer = content if where == "headers" else content.partition(b"\r\n\r\n")[2]

    def headers_first(sock: Any) -> None:
        if where == "body":
            sock.sendall(content[: -len(answer)])
        dribble(answer)(sock)

    wire.answers.append(headers_first)
    began = time.monotonic()
    outcome = broker.submit(ticket(), gate=open_gate)
    assert isinstance(outcome, Unknown) and "no answer within" in outcome.reason
    assert time.monotonic() - began < DEADLINE_SECONDS + 1.5
    assert len(wire.requests) == 1


def test_an_endless_body_is_cut(wire: AlpacaWire, connect: Make) -> None:
    def endless(sock: Any) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sock.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    wire.answers.append(endless)
    outcome = connect(wire.url, deadline_seconds=10).submit(ticket(), gate=open_gate)
    assert isinstance(outcome, Unknown) and "broke" in outcome.reason


def test_to_who_is_not_there_nothing_was_sent(wire: AlpacaWire, connect: Make) -> None:
    url = wire.url
    wire.stop()
    with pytest.raises(NotSent, match="nothing was sent"):
        connect(url).submit(ticket(), gate=open_gate)


def test_a_connection_that_breaks_before_the_first_byte_has_sent_nothing(connect: Make) -> None:
    """The other side speaks no TLS: the order's first byte waits for that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        received: list[bytes] = []

        def break_off() -> None:
            sock, _ = listener.accept()
            received.append(sock.recv(65536))
            sock.close()

        thread = threading.Thread(target=break_off, daemon=True)
        thread.start()
        asked: list[int] = []
        with pytest.raises(NotSent, match="nothing was sent"):
            connect(f"https://127.0.0.1:{listener.getsockname()[1]}").submit(
                ticket(), gate=lambda: asked.append(1)
            )
        thread.join(5)
    assert asked == [] and b"orders" not in received[0]


def test_to_a_name_that_is_not_told_in_time_nothing_was_sent(
    connect: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C library's lookup knows no timeout."""
    real = socket.getaddrinfo

    def slow(host: str, *args: Any, **options: Any) -> Any:
        if host == "broker.invalid" and not options.get("flags"):
            time.sleep(3)
        return real(host, *args, **options)

    monkeypatch.setattr("foundation.sockets.socket.getaddrinfo", slow)
    began = time.monotonic()
    with pytest.raises(NotSent, match="nothing was sent"):
        connect("https://broker.invalid").submit(ticket(), gate=open_gate)
    assert time.monotonic() - began < DEADLINE_SECONDS + 1.5


def test_a_kept_connection_that_the_server_dropped_is_replaced(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    """Seen before any byte left: another connection is made, and it is gated."""
    wire.answers.append(reply(200, order_document()))
    broker.submit(ticket(), gate=open_gate)
    wire.drop_all()
    time.sleep(0.05)
    wire.answers.append(reply(200, order_document(client_order_id="two")))
    gate = Watch(wire)
    assert isinstance(broker.submit(ticket(client_order_id="two"), gate=gate), Accepted)
    assert (len(gate.seen), wire.connections, len(wire.requests)) == (1, 2, 2)


def test_a_kept_connection_that_drops_under_the_gate_is_not_retried(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    """Bytes may have left, so nobody sends them a second time."""
    wire.answers.append(reply(200, order_document()))
    broker.submit(ticket(), gate=open_gate)

    def drop() -> None:
        wire.drop_all()
        time.sleep(0.05)

    assert isinstance(broker.submit(ticket(client_order_id="two"), gate=drop), Unknown)
    time.sleep(0.1)
    assert (wire.connections, len(wire.requests)) == (1, 1)


OTHER = [
    {"client_order_id": "two"},
    {"symbol": "BBB"},
    {"side": "sell"},
    {"qty": "11"},
    {"qty": "NaN"},
    {"qty": "-10"},
    {"qty": "0"},
    {"qty": None},
    {"qty": True},
    {"qty": "1e30"},
    {"qty": "10.000000001"},
    {"filled_qty": "11", "filled_avg_price": "1"},
    {"filled_qty": "-1"},
    {"filled_qty": "3"},  # without a price
    {"filled_qty": "3", "filled_avg_price": "-5"},
    {"filled_qty": "3", "filled_avg_price": "Infinity"},
    {"status": "filled", "filled_qty": "3", "filled_avg_price": "5"},
    {"status": "enlightened"},
    {"status": None},
    {"id": ""},
    {"id": 7},
    {"symbol": "aaa; DROP"},
    {"side": "hold"},
    {"submitted_at": "yesterday"},
    {"submitted_at": "2026-11-25T14:30:00"},  # no zone
]


@pytest.mark.parametrize("changes", OTHER, ids=str)
def test_an_answer_that_cannot_be_is_never_used(
    wire: AlpacaWire, broker: AlpacaBroker, changes: dict[str, Any]
) -> None:
    wire.answers.append(reply(200, order_document(**changes)))
    with pytest.raises(BadReport) as report:
        broker.submit(ticket(), gate=open_gate)
    assert report.value.payload
    assert len(wire.requests) == 1


def test_python_numbers_that_are_none_are_refused(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    """NaN without quotes is no JSON, but Python reads it."""
    body = whole(200, order_document()).partition(b"\r\n\r\n")[2].replace(b'"10"', b"NaN")
    wire.answers.append(reply(200, body=body))
    with pytest.raises(BadReport):
        broker.submit(ticket(), gate=open_gate)


@pytest.mark.parametrize(
    "missing", ["id", "client_order_id", "symbol", "side", "qty", "filled_qty", "status"]
)
def test_a_field_that_is_missing_is_no_order(wire: AlpacaWire, broker: AlpacaBroker, missing: str) -> None:
    document = order_document()
    del document[missing]
    wire.answers.append(reply(200, document))
    with pytest.raises(BadReport, match=missing):
        broker.submit(ticket(), gate=open_gate)


def test_parts_of_a_share_go_as_far_as_alpaca_takes_them(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(200, order_document(qty="0.5")))
    assert isinstance(broker.submit(ticket(quantity=D("0.5")), gate=open_gate), Accepted)
    trailing = OrderTerms(OrderType.TRAILING_STOP, trail_percentage=D(2))
    for terms in (OrderTerms(time_in_force=TimeInForce.GTC), trailing):
        with pytest.raises(NotCapable, match="whole units only"):
            broker.submit(ticket(quantity=D("0.5"), terms=terms), gate=open_gate)
    assert len(wire.requests) == 1


def test_no_proxy_of_the_environment_is_used(
    wire: AlpacaWire, connect: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    wire.answers.append(reply(200, order_document()))
    assert isinstance(connect(wire.url).submit(ticket(), gate=open_gate), Accepted)
