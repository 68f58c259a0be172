"""A rule that sells all that is held at market is not held up by what waits to sell it at another price."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from journal.models import Alert, Entry
from portfolios.services.books import open_books
from tests.harness.trading import STOP_LOSS, Desk, Market
from tests.harness.working import at_alpaca, limit_at, place, works
from trading.core.order_states import OrderState as S
from trading.core.orders import MARKET_DAY
from trading.models import AutoTrade, Decision
from trading.services.emergency_stop import arm
from trading.services.order_management import end_open
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration

PART = {**STOP_LOSS, "name": "Part", "actions": [
    {"type": "sell", "sizing_method": "fixed", "size_unit": "shares", "size_value": 10},
]}  # fmt: skip


@pytest.fixture
def market(market: Market) -> Market:
    market.tick()
    return market


def holder(market: Market, rule: dict[str, Any] = STOP_LOSS) -> Desk:
    """50 of AAA, all of them promised to a sale at 130 that waits."""
    desk = Desk.open(market, rules=(rule,))
    place(desk, MARKET_DAY, quantity=50)
    execute_pending()
    assert desk.held("AAA") == 50
    return desk


def resting(desk: Desk) -> AutoTrade:
    return works(place(desk, limit_at(130, gtc=True), side="sell", quantity=50))


def state(trade: AutoTrade) -> str:
    trade.refresh_from_db()
    return trade.status


def of_rule(desk: Desk) -> list[tuple[str, Decimal]]:
    return [(trade.status, trade.quantity) for trade in desk.trades() if trade.origin == "rule"]


def test_what_waits_is_cancelled_and_all_is_sold(market: Market) -> None:
    desk = holder(market)
    waiting = resting(desk)
    market.tick(AAA=94)
    desk.evaluate()
    execute_pending()
    assert state(waiting) == "cancelled" and waiting.status_reason == "a rule sells all AAA at market"
    assert (desk.held("AAA"), of_rule(desk)) == (0, [("filled", 50)])
    assert Entry.objects.filter(stream_id=desk.portfolio.id, kind="trade.cancelled").count() == 1
    assert book_differences() == []


def test_what_sells_a_part_leaves_what_waits_alone(market: Market) -> None:
    """It may be what protects the rest."""
    desk = holder(market, PART)
    waiting = resting(desk)
    market.tick(AAA=94)
    desk.evaluate()
    assert (state(waiting), of_rule(desk)) == ("accepted", [])


def test_for_a_sale_that_a_control_refuses_nothing_is_cancelled(market: Market) -> None:
    desk = holder(market)
    waiting = resting(desk)
    market.is_open = False
    market.tick(AAA=94)
    desk.evaluate()
    assert (state(waiting), of_rule(desk)) == ("accepted", [])


def test_a_halt_covers_what_waits_and_the_sale_alike(market: Market) -> None:
    desk = holder(market)
    waiting = resting(desk)
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a test", actor=None)
    market.tick(AAA=94)
    desk.evaluate()
    assert state(waiting) == "accepted", "until the halt is drained"
    assert of_rule(desk) == []


def test_at_a_real_broker_it_is_sold_once_that_says_that_it_is_gone(market: Market) -> None:
    desk = holder(market)
    at_alpaca(desk)
    waiting = resting(desk)
    market.tick(AAA=94)
    desk.evaluate()
    assert (state(waiting), of_rule(desk)) == ("cancelling", [])
    (alert,) = Alert.objects.filter(stream=desk.portfolio.id, kind="trade.cancelling")
    assert "if the rule is true then" in alert.message, "it may be true no longer"
    decision = Decision.objects.filter(portfolio=desk.portfolio, outcome="no_size").latest("id")
    assert decision.detail == "what waits to sell it is cancelled first"
    market.tick(AAA=93)
    desk.evaluate()
    assert Entry.objects.filter(kind="trade.cancelling").count() == 1, "it is asked once"
    with transaction.atomic():
        books = open_books([desk.portfolio.id])
        end_open([waiting], S.CANCELLING, S.CANCELLED, books=books, reason="the broker says so")
        books.save()
    market.tick(AAA=92)
    desk.evaluate()
    assert of_rule(desk) == [("pending", 50)]


def test_at_a_real_broker_own_buys_that_it_would_reject_the_sale_beside_go_too(market: Market) -> None:
    desk = holder(market)
    at_alpaca(desk)
    waiting = resting(desk)
    buy = works(place(desk, limit_at(90, gtc=True)))
    market.tick(AAA=94)
    desk.evaluate()
    assert (state(waiting), state(buy), of_rule(desk)) == ("cancelling", "cancelling", [])
