"""Fills of many orders that have rested for long, as in a crash, are told, with few questions if possible."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness.alpaca_wire import AlpacaWire, Request, fill_document, order_document
from trading.brokers.alpaca import asking
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.protocol import BrokerExecution

SINCE = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS, FILLS = "/v2/orders", "/v2/account/activities/FILL"


class Resting:
    """Serves orders of so many ages, each filled within a minute after SINCE. `away`: before this moment no list of
    orders is answered."""

    def __init__(self, wire: AlpacaWire, ages: list[timedelta], *, away: datetime | None = None) -> None:
        self.wire, self.away = wire, away
        self.orders: list[dict[str, Any]] = [
            order_document(
                id=f"order-{n:03}", client_order_id=f"at-{n:03}", status="filled", filled_qty="10",
                filled_avg_price="101.5", time_in_force="gtc", submitted_at=(SINCE - age).isoformat(),
            )
            for n, age in enumerate(ages)
        ]  # fmt: skip
        self.orders.sort(key=lambda order: order["submitted_at"])
        fills = [
            fill_document(
                id=f"2026::{n:03}", order_id=f"order-{n:03}",
                transaction_time=(SINCE + timedelta(seconds=n / 10)).isoformat(),
            )
            for n in range(len(ages))
        ]  # fmt: skip
        wire.routes |= {f"{ORDERS}/{order['id']}": (200, order) for order in self.orders}
        wire.routes[FILLS] = (200, fills)
        wire.on_request = self.prepare

    def prepare(self, request: Request) -> None:
        """As Alpaca does: `after` and `until` exclude."""
        if request.path == ORDERS:
            after = datetime.fromisoformat(request.query["after"])
            until = datetime.fromisoformat(request.query.get("until", "9999-12-31T00:00:00Z"))
            times = [datetime.fromisoformat(order["submitted_at"]) for order in self.orders]
            rows = [row for row, at in zip(self.orders, times, strict=True) if after < at < until]
            limit = int(request.query["limit"])
            is_away = self.away is not None and after < self.away
            self.wire.routes[ORDERS] = (500, {}) if is_away else (200, rows[:limit])

    def asked(self) -> list[int]:
        """[lists of orders, single ones]"""
        paths = [request.path for request in self.wire.requests if request.path != FILLS]
        return [paths.count(ORDERS), len(paths) - paths.count(ORDERS)]


def told(broker: AlpacaBroker) -> list[str]:
    fills = broker.executions_since(SINCE)
    assert all(isinstance(fill, BrokerExecution) for fill in fills)
    return sorted(fill.client_order_id for fill in fills if isinstance(fill, BrokerExecution))


@pytest.mark.parametrize(
    ("age", "lists"), [(DAY / 2, 1), (1.5 * DAY, 2), (7 * DAY, 4), (30 * DAY, 6), (89 * DAY, 8)], ids=str
)
def test_fills_of_more_orders_than_are_asked_for_one_by_one_are_told(
    wire: AlpacaWire, broker: AlpacaBroker, age: timedelta, lists: int
) -> None:
    resting = Resting(wire, [age + timedelta(seconds=n) for n in range(60)])
    assert told(broker) == [f"at-{n:03}" for n in range(60)]
    assert resting.asked() == [lists, 0]


def test_those_that_no_list_tells_of_are_asked_for_one_by_one(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    resting = Resting(wire, [7 * DAY] * 60, away=SINCE - 3 * DAY)
    assert told(broker) == [f"at-{n:03}" for n in range(60)]
    assert resting.asked() == [3, 60]


def test_an_order_on_the_edge_of_two_lists_is_in_one_of_them(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SINGLE_LOOKS_MAX", 0)
    resting = Resting(wire, [DAY, 2 * DAY, 4 * DAY, 8 * DAY])
    assert len(told(broker)) == 4
    assert resting.asked() == [4, 0]


def test_pages_of_earlier_days_are_read_on(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SINGLE_LOOKS_MAX", 0)
    monkeypatch.setattr(asking, "ORDERS_IN_PAGE", 3)
    resting = Resting(wire, [timedelta(hours=30 + n) for n in range(7)])
    assert len(told(broker)) == 7
    assert resting.asked()[1] == 0
