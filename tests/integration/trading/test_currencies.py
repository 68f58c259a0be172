"""A portfolio buys what is priced in the currency that it is kept in: nothing here converts one into another."""

from decimal import Decimal

import pytest

from foundation.errors import RecordedRefusal
from portfolios.models import Portfolio
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.services.manual import place_trade
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
WHY = "it is priced in USD, and the portfolio is kept in EUR: buy it in a portfolio that is kept in USD"


def order(desk: Desk, side: str) -> None:
    place_trade(
        portfolio_id=desk.portfolio.id, symbol="AAA", side=side, quantity=Decimal(10), actor=desk.owner
    )  # fmt: skip


def keep_in_euros(desk: Desk) -> None:
    Portfolio.objects.filter(pk=desk.portfolio.pk).update(base_currency="EUR")


def test_what_is_priced_in_another_currency_is_not_bought(desk: Desk) -> None:
    keep_in_euros(desk)
    with pytest.raises(RecordedRefusal) as caught:
        order(desk, "buy")
    assert caught.value.code == "NOT_PERMITTED"
    assert WHY in desk.decisions()[-1].detail
    assert desk.trades() == []


def test_nor_by_a_rule(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY,))
    keep_in_euros(desk)
    market.advise("AAA")
    desk.step()
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code) == ("refused", "NOT_PERMITTED") and WHY in decision.detail
    assert desk.trades() == []


def test_what_is_held_all_the_same_is_sold(desk: Desk) -> None:
    order(desk, "buy")
    execute_pending()
    keep_in_euros(desk)
    order(desk, "sell")
    execute_pending()
    assert desk.held("AAA") == 0
