"""What a buy pays in fees comes from what it has reserved for them."""

from decimal import Decimal

import pytest

from portfolios.models import Reservation
from tests.harness.paper import fresh, order, paper_market, wide_limits, withdraw_what_is_free
from tests.harness.trading import Desk, Market
from tests.integration.trading.paper_steps import state, tick
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture(autouse=True)
def limits(committed_db: object) -> None:
    wide_limits()


def test_the_least_fee_is_paid_with_the_first_part_from_what_is_reserved_for_it(
    desk: Desk, market: Market
) -> None:
    """In a portfolio in which nothing else is free."""
    paper_market(desk, volume_limit_percentage="10", fee_minimum="1000", fee_bps="0", slippage_bps="0")
    market.volumes["AAA"] = 50
    trade = order(desk, "buy", 20)
    withdraw_what_is_free(desk)
    for filled in (5, 10, 15):
        tick(market)
        assert state(trade) == ("partially_filled", filled)
        desk.refresh()
        assert desk.portfolio.reserved_cash == Reservation.objects.get(owner_id=trade.id).cash
        assert desk.portfolio.reserved_cash >= (20 - filled) * D("100.10"), "enough for the rest"
    tick(market)
    assert (state(trade), fresh(trade).fees) == (("filled", 20), 1000)
    desk.refresh()
    assert desk.portfolio.reserved_cash == 0 and 0 <= desk.portfolio.cash < 100
    assert book_differences() == []
