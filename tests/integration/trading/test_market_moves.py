"""The market between the decision and the fill, and money that is neither profit nor loss."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import F

from journal.models import Alert
from portfolios.services.books import open_books
from portfolios.services.portfolios import withdraw
from sessions.services.sessions import stop_trading_session
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from trading.core.market_facts import STALE_SECONDS
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.objections import PENDING_SECONDS_MAX
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
CHEAP = [{"field": "price", "operator": "greater_than", "value": 1}]


def test_a_buy_that_became_too_dear_for_its_reserve_is_rejected(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    desk.refresh()
    free = desk.portfolio.cash - desk.portfolio.reserved_cash
    withdraw(portfolio_id=desk.portfolio.id, amount=free.quantize(D("0.01")) - 1, actor=desk.owner)
    market.tick(AAA=120.0)
    execute_pending()
    (trade,) = desk.trades()
    assert trade.status == "rejected" and "beyond what was reserved" in trade.status_reason
    desk.refresh()
    assert desk.portfolio.cash > 0 and desk.portfolio.reserved_cash == 0
    assert book_differences() == []


def test_a_buy_that_became_dearer_is_paid_from_what_is_free(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    market.tick(AAA=110.0)
    execute_pending()
    assert desk.trades()[0].status == "filled"
    desk.refresh()
    assert desk.portfolio.reserved_cash == 0 and book_differences() == []


def test_a_trade_that_finds_no_market_for_long_expires(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    market.is_open = False
    market.tick()
    execute_pending()
    assert desk.trades()[0].status == "pending"
    AutoTrade.objects.update(created_at=F("created_at") - timedelta(seconds=PENDING_SECONDS_MAX + 1))
    execute_pending()
    assert desk.trades()[0].status == "expired"
    assert desk.refresh().portfolio.reserved_cash == 0


def test_deposits_and_withdrawals_are_neither_profit_nor_loss(desk: Desk, market: Market) -> None:
    """A fifth of the money goes out: with the platform's daily loss limit of 10 % that must not stop entries."""
    desk.step()
    withdraw(portfolio_id=desk.portfolio.id, amount=D(20_000), actor=desk.owner)
    market.advise("AAA")
    desk.step()
    assert [trade.status for trade in desk.trades()] == ["filled"]
    mark = desk.portfolio.mark
    assert mark.day_open_equity == 80_000 and mark.peak_equity == 80_000


def test_what_the_first_buy_spent_is_asked_again_for_the_second(market: Market) -> None:
    market.tick()
    rule = {
        "name": "Half", "rule_type": "entry",
        "conditions": [{"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 90}, *CHEAP],
        "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 15}],
    }  # fmt: skip
    desk = Desk.open(market, rules=(rule,))
    market.tick()
    desk.evaluate()
    assert [d.outcome for d in desk.decisions()].count("traded") == 1
    assert [d.outcome for d in desk.decisions()].count("lapsed") == 2
    assert len(desk.trades()) == 1


def test_an_alert_beside_a_trade_is_given_once(market: Market) -> None:
    market.tick()
    rule = {
        "name": "Tell and buy", "rule_type": "entry",
        "conditions": [{"field": "price", "operator": "greater_than", "value": 1}],
        "actions": [
            {"type": "buy", "sizing_method": "percentage", "size_value": 5, "max_position_size": 5},
            {"type": "alert", "message": "cheap", "severity": "info"},
        ],
    }  # fmt: skip
    desk = Desk.open(market, rules=(rule,))
    for _ in range(5):
        desk.step()
    assert Alert.objects.count() == 3  # one a symbol
    rows = len(desk.decisions())
    desk.step()
    assert len(desk.decisions()) == rows


def test_a_flatten_that_is_refused_is_told_once(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    market.advise("AAA")
    desk.step()
    market.is_open = False
    market.tick()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    for _ in range(4):
        assert finish_stopping() == 0
    refused = [d for d in desk.decisions() if d.outcome == "refused"]
    assert [(d.code, d.repeated) for d in refused] == [("MARKET_CLOSED", 3)]
    assert Alert.objects.filter(kind="session.flatten_refused").count() == 1
    market.is_open = True
    market.tick()
    finish_stopping()
    execute_pending()
    assert finish_stopping() == 1 and desk.held("AAA") == 0


def test_a_reduction_passes_where_no_limits_are_set(
    desk: Desk, market: Market, committed_db: CommittedDatabase
) -> None:
    market.advise("AAA")
    desk.step()
    with committed_db.as_owner() as owner:
        owner.execute("TRUNCATE portfolios_limitset")
    desk.step(AAA=90.0)
    sale = desk.trades()[-1]
    assert (sale.trade_type, sale.status, sale.limits_version) == ("sell", "filled", "none")


def test_a_price_that_is_too_old_is_no_fact(desk: Desk, market: Market) -> None:
    cheap = desk.add_rule(
        name="Cheap", conditions=CHEAP, actions=[{"type": "buy", "sizing_method": "percentage", "size_value": 1}]
    )  # fmt: skip
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") > 0 and any(d.rule_id == cheap.id for d in desk.decisions())
    before = len(desk.decisions())
    market.price_age_seconds = STALE_SECONDS + 1
    desk.step(AAA=50.0)  # a stop-loss, if the price were one
    assert len(desk.decisions()) == before
    market.price_age_seconds = 0
    desk.step()
    assert desk.held("AAA") == 0


def test_two_fills_of_a_trade_in_one_report_count_as_one_trade(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    common = {"trade": trade, "price": D(100), "fee": D(1), "market_at": market.as_of}
    with transaction.atomic():
        books = open_books([desk.portfolio.id])
        first = ReportedFill(
            execution_id="one", quantity=D(20), path=("pending", "submitting", "partially_filled"), **common
        )
        book_fills([first], books=books)
        trade.refresh_from_db()
        rest = ReportedFill(
            execution_id="two",
            quantity=D(30),
            path=("partially_filled", "filled"),
            **common | {"trade": trade},
        )
        book_fills([rest, rest], books=books)
        books.save()
    desk.refresh()
    assert (desk.session.total_trades, desk.portfolio.reserved_cash, desk.held("AAA")) == (1, 0, 50)
    assert desk.trades()[0].executed_price == 100
    assert book_differences() == []
