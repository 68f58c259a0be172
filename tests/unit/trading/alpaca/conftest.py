"""An adapter that speaks to the scripted server of tests/harness/alpaca_wire.py."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from portfolios.services.credentials import ApiKeys
from tests.harness.alpaca_wire import AlpacaWire, alpaca_wire
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.protocol import OrderTicket
from trading.core.orders import OrderTerms

KEYS = ApiKeys(key_id="PKTESTKEYID000000001", secret="s3cret/of+alpaca000000000000000000000001")
DEADLINE_SECONDS = 0.6


@pytest.fixture
def wire() -> Iterator[AlpacaWire]:
    with alpaca_wire() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., AlpacaBroker]]:
    made: list[AlpacaBroker] = []

    def make(url: str, **options: Any) -> AlpacaBroker:
        options = {
            "keys": KEYS, "account_number": "PA3WIRE00001", "deadline_seconds": DEADLINE_SECONDS, **options,
        }  # fmt: skip
        made.append(AlpacaBroker(base_url=url, **options))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(wire: AlpacaWire, connect: Callable[..., AlpacaBroker]) -> AlpacaBroker:
    return connect(wire.url)


def ticket(**changes: Any) -> OrderTicket:
    values: dict[str, Any] = {
        "client_order_id": "one", "symbol": "AAA", "side": "buy", "quantity": Decimal(10), "terms": OrderTerms(),
        **changes,
    }  # fmt: skip
    return OrderTicket(**values)


def open_gate() -> None:
    pass
