"""A protection that may not sell now cancels nothing: what is in its way goes on protecting the position."""

from decimal import Decimal

import pytest

from journal.models import Entry
from portfolios.services.limits import set_limits
from tests.harness.trading import Market
from tests.harness.working import at_alpaca, limit_at, place, stop_at, works
from tests.integration.trading.protecting import protected, tick
from trading.core.order_states import OrderState as S
from trading.models import AutoTrade
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


def state_of(trade: AutoTrade) -> str:
    trade.refresh_from_db()
    return trade.status


def test_nothing_is_cancelled_for_a_stop_loss_in_a_closed_market(market: Market) -> None:
    """Quotes come before the opening, and in a halt, too."""
    desk = protected(market, stop_loss_percentage=5)
    buy = works(place(desk, limit_at(80, gtc=True)))
    by_hand = works(place(desk, stop_at(90), side="sell", quantity=50))
    market.is_open = False
    assert [tick(desk, AAA=94) for _ in range(2)] == [0, 0]
    assert (state_of(by_hand), state_of(buy)) == ("accepted", "accepted")
    refused = desk.decisions()[-1]
    assert (refused.code, refused.sizing["quantity"], refused.repeated) == ("MARKET_CLOSED", "50", 1)
    assert Entry.objects.filter(kind="protection.refused").count() == 1
    market.is_open = True
    assert tick(desk) == 1
    assert (state_of(by_hand), state_of(buy)) == ("cancelled", "cancelled")
    execute_pending()
    assert desk.held("AAA") == 0 and book_differences() == []


def test_nothing_is_cancelled_for_a_stop_loss_at_a_price_that_nobody_would_sell_at(market: Market) -> None:
    """The bid is a tenth of a percent below the last price: too far, for once."""
    desk = protected(market, stop_loss_percentage=5)
    by_hand = works(place(desk, stop_at(90), side="sell", quantity=50))
    narrow = {"max_price_deviation_percentage": Decimal("0.05")}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=narrow, actor=desk.owner)
    assert tick(desk, AAA=94) == 0
    assert desk.decisions()[-1].code == "PRICE_COLLAR"
    assert tick(desk, AAA=97) == 0
    assert state_of(by_hand) == "accepted", "it goes on protecting the position"


def test_nothing_is_cancelled_while_an_order_is_in_doubt(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    at_alpaca(desk)
    doubtful = place(desk, limit_at(130), side="sell", quantity=20)
    by_hand = works(place(desk, stop_at(90), side="sell", quantity=30))
    works(doubtful, S.UNKNOWN)
    assert tick(desk, AAA=94) == 0
    assert (state_of(doubtful), state_of(by_hand)) == ("unknown", "accepted")
    assert desk.decisions()[-1].code == "UNKNOWN_OUTSTANDING"
