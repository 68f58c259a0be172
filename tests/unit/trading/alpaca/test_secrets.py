"""The keys are nowhere but on the wire: not in a log at DEBUG, an error and its causes, a repr or a report."""

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from tests.harness.alpaca_wire import (
    AlpacaWire,
    Answer,
    alpaca_socket,
    hang_up,
    order_document,
    reply,
    silence,
)
from tests.unit.trading.alpaca.conftest import KEYS, open_gate, ticket
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.protocol import BadReport, BrokerError

Make = Callable[..., AlpacaBroker]
ECHO = f"key {KEYS.key_id} with {KEYS.secret} is wrong"


def assert_no_keys(*texts: Any) -> None:
    for text in texts:
        shown = text if isinstance(text, str) else repr(text)
        assert KEYS.secret not in shown and KEYS.key_id not in shown


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As if somebody had turned every logger up, whatever the settings say."""
    for name in ("httpx", "httpcore", "websockets", "websockets.client"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)


def test_no_repr_shows_them(broker: AlpacaBroker) -> None:
    assert_no_keys(repr(KEYS), str(KEYS), f"{KEYS}", repr(broker), KEYS.hint)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, order_document()),
        reply(403, {"message": ECHO}),
        reply(500, {"message": ECHO}),
        reply(429, {"message": ECHO}),
        reply(200, order_document(status=ECHO)),
        reply(200, {ECHO: ECHO, "list": [ECHO, {"deep": ECHO}]}),
        reply(200, body=ECHO.encode()),
        hang_up,
        silence,
    ],
)
def test_no_outcome_error_or_log_shows_them(
    wire: AlpacaWire, broker: AlpacaBroker, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: broker.submit(ticket(), gate=open_gate),
        lambda: broker.order_by_client_id("one"),
        broker.account,
        broker.open_orders,
    ]
    for call in calls:
        wire.answers.append(answer)
        try:
            assert_no_keys(call())
        except BrokerError as error:
            payload = error.payload if isinstance(error, BadReport) else None
            assert_no_keys("".join(traceback.format_exception(error)), error, payload)
    assert_no_keys(caplog.text)


def test_the_stream_shows_them_nowhere(connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    def handler(ws: ServerConnection) -> None:
        ws.recv()
        ws.send(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}))
        ws.recv()
        ws.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}))
        ws.send(json.dumps({"stream": ECHO, "data": {"said": ECHO}}))
        for _ in ws:
            pass

    # the server of this test is another program: what it logs is not ours
    silent = logging.Logger("server", level=logging.CRITICAL)
    with alpaca_socket(handler, logger=silent) as url, connect(url).stream() as stream:
        report = next(iter(stream))
    assert isinstance(report, BadReport)
    assert_no_keys(report, report.payload, caplog.text)
