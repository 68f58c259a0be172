"""One trade through every room: advice → verdict → size → risk → order → fill → books → journal."""

from decimal import Decimal

import pytest
from django.db import transaction

from journal.models import Entry
from portfolios.models import LedgerTransfer
from portfolios.services.books import open_books
from portfolios.services.limits import set_limits
from tests.harness.orders import WIDE
from tests.harness.trading import Desk, Market
from trading.models import Decision, Execution
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


def kinds(desk: Desk) -> list[str]:
    return list(
        Entry.objects.filter(stream_id=desk.portfolio.id).order_by("seq").values_list("kind", flat=True)
    )


def test_strong_buy_is_bought_for_five_percent_of_equity(desk: Desk, market: Market) -> None:
    advice = market.advise("AAA", "STRONG_BUY", 0.85)
    desk.step()
    (trade,) = desk.trades()
    assert (trade.trade_type, trade.symbol, trade.status) == ("buy", "AAA", "filled")
    assert trade.quantity == trade.filled_quantity == Decimal(50)  # 5 % of 100,000 at 100
    assert trade.executed_price == Decimal("100.12")  # the ask of 100.10 and 1 bp of slippage, up to the cent
    assert trade.recommendation_id == advice.id
    assert trade.limits_version == "platform:1"
    assert desk.held("AAA") == 50


def test_the_fill_is_in_the_books(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    paid = trade.executed_price * 50
    fee = paid * Decimal("0.0001")
    desk.refresh()
    assert desk.portfolio.cash == 100_000 - paid - fee
    assert desk.portfolio.reserved_cash == 0
    assert {(t.kind, t.debit_account, t.credit_account, t.asset, t.amount) for t in
            LedgerTransfer.objects.filter(owner_id=trade.id)} == {
        ("fill", "market", "cash", "USD", paid),
        ("fill", "holdings", "market", "AAA", Decimal(50)),
        ("fee", "fees", "cash", "USD", fee),
    }  # fmt: skip
    assert (desk.session.total_trades, desk.session.total_pnl) == (1, -fee)
    assert book_differences() == []


def test_every_step_is_journalled_in_order(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    assert kinds(desk)[-4:] == ["decision.made", "trade.created", "trade.filled", "position.changed"]


def test_the_decision_tells_facts_arithmetic_and_checks(desk: Desk, market: Market) -> None:
    market.advise("AAA", "STRONG_BUY", 0.85)
    desk.step()
    (decision,) = desk.decisions()
    assert decision.outcome == Decision.Outcome.TRADED
    told = str(decision.explanation)
    assert "ai_recommendation" in told and "0.85" in told and "portfolio_cash_percentage" in told
    assert decision.sizing["quantity"] == "50"
    assert decision.sizing["equity"] == "100000"
    assert {check["code"] for check in decision.checks} >= {"HALTED", "MAX_ORDER_VALUE", "INSUFFICIENT_CASH"}
    assert all(check["passed"] for check in decision.checks)


def test_the_rules_ceiling_ends_the_buying_and_the_reason_is_told_once(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    for _ in range(5):
        desk.step()
    assert desk.held("AAA") * 100 <= 10_000  # max_position_size is 10 %
    last = desk.decisions()[-1]
    assert (last.outcome, last.detail) == ("no_size", "the position is at the rule's max_position_size")
    assert last.repeated >= 1


def test_the_stop_loss_sells_everything_and_realises_the_loss(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    desk.step(AAA=94.0)
    buy, sell = desk.trades()
    assert (sell.trade_type, sell.quantity, sell.status) == ("sell", buy.quantity, "filled")
    assert sell.realised_pnl == (sell.executed_price - buy.executed_price) * 50 < 0
    desk.refresh()
    assert desk.held("AAA") == 0
    assert desk.session.total_pnl == sell.realised_pnl - buy.fees - sell.fees
    assert (desk.session.total_trades, desk.session.successful_trades) == (2, 0)
    assert book_differences() == []


def test_a_slot_is_evaluated_once(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    assert desk.evaluate() is not None
    assert desk.evaluate() is None
    assert len(desk.trades()) == 1


def test_nothing_triggers_on_an_unknown_fact(desk: Desk, market: Market) -> None:
    desk.step(AAA=float("nan"), BBB=float("nan"), CCC=float("nan"))
    assert desk.trades() == [] and desk.decisions() == []


def test_a_closed_market_refuses_with_its_code(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.is_open = False
    desk.step()
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code) == ("refused", "MARKET_CLOSED")
    assert desk.trades() == []


def test_a_stale_price_refuses_with_its_code(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.price_age_seconds = 61
    desk.step()
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code) == ("refused", "STALE_DATA")


def test_a_batch_is_checked_cumulatively(market: Market) -> None:
    """Three buys of 24,000 each want more than there is: two pass and the third finds the cash reserved."""
    market.tick()
    rule = {
        "name": "Greedy", "rule_type": "entry",
        "conditions": [{"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"}],
        "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "cash", "size_value": 24_000}],
    }  # fmt: skip
    desk = Desk.open(market, cash=60_000, rules=(rule,))
    set_wide_limits(desk)
    for symbol in market.prices:
        market.advise(symbol)
    market.tick()
    desk.evaluate()
    assert {trade.symbol for trade in desk.trades()} == {"AAA", "BBB"}
    assert [d.code for d in desk.decisions() if d.outcome == "refused"] == ["INSUFFICIENT_CASH"]
    desk.refresh()
    assert desk.portfolio.reserved_cash > 48_000
    assert book_differences() == []


def set_wide_limits(desk: Desk) -> None:
    """The platform's ceilings out of the way, so that cash alone decides."""
    set_limits(scope="platform", values=WIDE, actor=None)


def test_the_same_fill_told_twice_is_booked_once(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    execution = Execution.objects.get(trade=trade)
    again = ReportedFill(
        trade=trade, execution_id=execution.execution_id, quantity=execution.quantity, price=execution.price,
        fee=execution.fee, market_at=execution.market_at, path=("accepted", "filled"),
    )  # fmt: skip
    with transaction.atomic():
        books = open_books([desk.portfolio.id])
        assert book_fills([again], books=books) == []
        books.save()
    assert Execution.objects.count() == 1
    assert book_differences() == []
