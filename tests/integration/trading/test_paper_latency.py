"""An order takes time to reach the market, and is not given up on its way there."""

from datetime import timedelta

import pytest
from django.db.models import F

from tests.harness.paper import order, paper_market, wide_limits
from tests.harness.trading import Desk, Market
from tests.integration.trading.paper_steps import state, tick
from trading.models import AutoTrade
from trading.services.objections import PENDING_SECONDS_MAX
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
LATENCY_SECONDS = 60


@pytest.fixture
def slow(desk: Desk, market: Market) -> AutoTrade:
    """A market order that Alice's account takes a minute of market time to bring to the market."""
    wide_limits()
    paper_market(desk, latency_ms=LATENCY_SECONDS * 1000)
    market.tick()
    return order(desk)


def is_seconds_old(seconds: int) -> None:
    AutoTrade.objects.update(created_at=F("created_at") - timedelta(seconds=seconds))


def test_what_is_on_its_way_is_not_given_up(slow: AutoTrade, market: Market) -> None:
    is_seconds_old(PENDING_SECONDS_MAX + 2)
    assert execute_pending() == 0 and state(slow) == ("pending", 0)
    assert tick(market) == 1 and state(slow) == ("filled", 10)


def test_what_has_found_no_market_for_long_after_that_is(slow: AutoTrade) -> None:
    is_seconds_old(LATENCY_SECONDS + PENDING_SECONDS_MAX + 1)
    execute_pending()
    assert state(slow) == ("expired", 0)
