"""Beside an own order of the other side Alpaca rejects by the types of orders, however far apart their prices are. So
what must be sold has the buys cancelled first, and is sent when they are gone: nothing is refused on the way."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from journal.models import Entry
from sessions.services.sessions import stop_trading_session
from tests.harness.at_simulator import AtSimulator
from tests.harness.trading import Desk, Market
from tests.harness.working import limit_at, place, stop_at
from tests.integration.trading.at_brokers import pass_time, state
from tests.integration.trading.protecting import buying, sells
from trading.core.orders import MARKET_DAY, OrderTerms
from trading.models import AutoTrade
from trading.services.manual import preview_trade
from trading.services.protection_watch import watch_protections
from trading.services.sending import send_due
from trading.services.stopping import finish_stopping
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
EXIT: dict[str, Any] = {
    "name": "Out", "rule_type": "exit",
    "conditions": [
        {"field": "position_quantity", "operator": "greater_than", "value": 0},
        {"field": "price", "operator": "less_than", "value": 97},
    ],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}  # fmt: skip


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(buying(stop_loss_percentage=5), EXIT), config={"on_stop": "flatten"})


@pytest.fixture
def holding(at_simulator: AtSimulator) -> AtSimulator:
    """50 of AAA, bought there at 100 by a rule that protects them."""
    at = at_simulator
    at.desk.market.advise("AAA")
    at.desk.market.tick()
    at.desk.evaluate()
    send_due()
    (buy,) = at.desk.trades()
    at.simulator.fill(buy.client_order_id)
    at.reconcile()
    at.desk.market.advise("AAA", "HOLD", 0.5)
    assert at.desk.held("AAA") == 50
    return at


def rests(at: AtSimulator, terms: OrderTerms, **more: Any) -> AutoTrade:
    trade = place(at.desk, terms, **more)
    send_due()
    assert state(trade) == "accepted"
    return trade


def by_a_rule(at: AtSimulator) -> None:
    at.desk.market.tick(AAA=96)
    at.desk.evaluate()


def by_a_protection(at: AtSimulator) -> None:
    at.desk.market.tick(AAA=94)
    assert watch_protections() == 1


def by_a_flatten(at: AtSimulator) -> None:
    at.desk.market.tick()
    stop_trading_session(session_id=at.desk.session.id, actor=at.desk.owner)
    finish_stopping()


def refusals(at: AtSimulator) -> list[str]:
    """Ours, and the broker's."""
    mine = [row.detail for row in at.desk.decisions() if row.outcome == "refused"]
    told = Entry.objects.filter(kind__in=["protection.refused", "session.flatten_refused", "trade.rejected"])
    there = [at.simulator.witness().order(trade.client_order_id).refusals for trade in at.desk.trades()]
    return [*mine, *told.values_list("kind", flat=True), *(reason for each in there for reason in each)]


@pytest.mark.parametrize("terms", [limit_at(90, gtc=True), stop_at(140)], ids=["limit", "stop"])
@pytest.mark.parametrize("sells_it", [by_a_rule, by_a_protection, by_a_flatten])
def test_what_must_be_sold_is_sold_beside_a_resting_buy(
    holding: AtSimulator, sells_it: Callable[[AtSimulator], None], terms: OrderTerms
) -> None:
    at = holding
    buy = rests(at, terms)
    at.simulator.policy(cancel_delay=[60, 60])
    sells_it(at)
    (sale,) = sells(at.desk)
    assert (state(buy), state(sale)) == ("cancelling", "pending")
    for _ in range(2):
        send_due()
        assert (state(buy), state(sale)) == ("cancelling", "pending"), (
            "the broker has not said that it is gone"
        )
    at.simulator.cancel(buy.client_order_id)
    at.reconcile()
    send_due()
    assert (state(buy), state(sale)) == ("cancelled", "accepted")
    at.simulator.fill(sale.client_order_id)
    at.reconcile()
    assert (at.desk.held("AAA"), refusals(at), at.breaks(), book_differences()) == (0, [], [], [])


def test_one_that_fills_before_its_cancel_is_sold_next(holding: AtSimulator) -> None:
    at = holding
    buy = rests(at, limit_at(90, gtc=True))
    at.simulator.policy(cancel_delay=[60, 60])
    by_a_protection(at)
    (sale,) = sells(at.desk)
    at.simulator.fill(buy.client_order_id, price=90)
    at.reconcile()
    send_due()
    assert (state(buy), state(sale), sale.quantity) == ("filled", "accepted", 50)
    at.simulator.fill(sale.client_order_id, price=90)
    at.reconcile()
    assert (at.desk.held("AAA"), refusals(at), book_differences()) == (10, [], [])


def test_a_sale_that_waits_too_long_expires_and_is_asked_for_again(holding: AtSimulator) -> None:
    at = holding
    rests(at, limit_at(90, gtc=True))
    at.simulator.policy(cancel_delay=[600, 600])
    by_a_protection(at)
    pass_time(61)
    send_due()
    (sale,) = sells(at.desk)
    assert state(sale) == "expired"
    at.desk.market.tick()
    assert watch_protections() == 1 and len(sells(at.desk)) == 2


def test_nothing_is_cancelled_for_a_sale_that_is_refused_all_the_same(holding: AtSimulator) -> None:
    buy = rests(holding, limit_at(90, gtc=True))
    holding.desk.market.is_open = False
    by_a_rule(holding)
    assert (state(buy), sells(holding.desk)) == ("accepted", [])
    assert "MARKET_CLOSED" in refusals(holding)[0]


def test_a_buy_that_alpaca_would_reject_is_refused_here(holding: AtSimulator) -> None:
    rests(holding, limit_at(120, gtc=True), side="sell", quantity=50)

    def refused(terms: OrderTerms) -> str | None:
        desk = holding.desk
        return preview_trade(
            portfolio_id=desk.portfolio.id, symbol="AAA", side="buy", quantity=Decimal(1), actor=desk.owner, terms=terms
        ).code  # fmt: skip

    assert (refused(MARKET_DAY), refused(stop_at(110))) == ("WASH_TRADE", "WASH_TRADE")
    assert refused(limit_at(99)) is None


def test_a_persons_sale_waits_for_the_cancel_of_his_buy(holding: AtSimulator) -> None:
    buy = rests(holding, limit_at(90, gtc=True))
    at = holding

    def refused() -> str | None:
        return preview_trade(
            portfolio_id=at.desk.portfolio.id,
            symbol="AAA",
            side="sell",
            quantity=Decimal(1),
            actor=at.desk.owner,
        ).code

    assert refused() == "WASH_TRADE"
    at.simulator.policy(cancel_delay=[60, 60])
    by_a_rule(at)
    assert state(buy) == "cancelling" and refused() == "INSUFFICIENT_POSITION"
