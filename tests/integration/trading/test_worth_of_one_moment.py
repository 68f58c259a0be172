"""What a portfolio is worth is told as of one moment, whatever is filled while it is read."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from knox.models import get_token_model
from rest_framework.test import APIClient

from tests.harness.trading import Desk, Market
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


class Interrupted:
    """Lets something else commit, once, just before the first query whose text has a needle; see Django's
    `execute_wrapper`."""

    def __init__(self, needle: str, work: Callable[[], object]) -> None:
        self._needle, self._work = needle, work
        self.done: list[object] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self._needle in sql and not self.done:
            other = threading.Thread(target=self._run)
            other.start()
            other.join(30)
            assert self.done and self.done[0], "it committed meanwhile"
        return execute(sql, params, many, context)

    def _run(self) -> None:
        try:
            self.done.append(self._work())
        finally:
            connections.close_all()


def client_of(desk: Desk) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {get_token_model().objects.create(user=desk.owner)[1]}")
    return client


@pytest.fixture
def buying(desk: Desk, market: Market) -> Desk:
    """A buy of AAA is pending."""
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    return desk


def test_a_fill_between_the_queries_counts_no_money_twice(buying: Desk) -> None:
    desk = buying
    client, path = client_of(desk), f"/api/portfolios/{desk.portfolio.id}"
    interrupted = Interrupted('FROM "portfolios_position"', execute_pending)
    with connection.execute_wrapper(interrupted):
        told = client.get(path).json()
    assert interrupted.done and desk.held("AAA") > 0
    cash, valuation = Decimal(told["portfolio"]["cash"]), told["valuation"]
    assert (cash, Decimal(valuation["market_value"])) == (100_000, 0), "of before the fill, both"
    assert Decimal(valuation["equity"]) == 100_000

    told = client.get(path).json()
    cash, valuation = Decimal(told["portfolio"]["cash"]), told["valuation"]
    assert Decimal(valuation["market_value"]) == desk.held("AAA") * 100
    assert Decimal(valuation["equity"]) == cash + desk.held("AAA") * 100 < 100_000, (
        "it cost the spread and a fee"
    )


def test_nor_does_one_where_its_risk_is_told(buying: Desk) -> None:
    path = f"/api/portfolios/{buying.portfolio.id}/risk"
    interrupted = Interrupted("FROM portfolios_position AS t", execute_pending)
    client = client_of(buying)
    with connection.execute_wrapper(interrupted):
        told = client.get(path).json()
    assert interrupted.done and buying.held("AAA") > 0
    assert Decimal(told["equity"]) == 100_000, "of before the fill"
