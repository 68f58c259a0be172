"""A fill taken back: ledger, position, execution, trade and session agree about it."""

from decimal import Decimal

import pytest

from foundation.errors import Conflict, NotFound
from journal.models import Entry
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import LedgerTransfer, Position
from portfolios.services.corporate_actions import apply_corporate_action
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.models import AutoTrade, Execution
from trading.services.corrections import reverse_execution, reverse_ledger_entry
from trading.services.performance import get_session_performance
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
TAKE_PROFIT = {
    "rule_type": "exit",
    "conditions": [{"field": "position_pnl_percentage", "operator": "greater_than", "value": 5}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(STRONG_BUY_ENTRY,))


def entry_of(trade: AutoTrade) -> LedgerTransfer:
    return LedgerTransfer.objects.filter(owner_id=trade.id, kind="fill").latest("id")


def take_back(desk: Desk, trade: AutoTrade) -> None:
    reverse_ledger_entry(
        portfolio_id=desk.portfolio.id, entry_id=entry_of(trade).entry_id, actor=desk.owner, reason="busted"
    )


def bought_and_sold(desk: Desk) -> tuple[AutoTrade, AutoTrade]:
    desk.market.advise("AAA")
    desk.step()
    desk.market.advise("AAA", "HOLD", 0.5)
    desk.add_rule(**TAKE_PROFIT)
    desk.step(AAA=120)
    buy, sell = desk.trades()
    assert (buy.trade_type, sell.trade_type) == ("buy", "sell")
    return buy, sell


def agree(desk: Desk) -> None:
    """Columns and performance say the same, and the books balance."""
    assert book_differences() == []
    told, session = get_session_performance(desk.session.id), desk.refresh().session
    assert told["realised_pnl"] == session.total_pnl
    assert told["successful_trades"] == session.successful_trades
    assert told["total_trades"] == session.total_trades


def test_a_reversed_buy_is_as_if_it_had_never_been(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    take_back(desk, trade)
    assert desk.refresh().portfolio.cash == 100_000
    assert (desk.portfolio.realised_pnl, desk.session.total_pnl, desk.session.total_trades) == (0, 0, 1)
    position = Position.objects.get(portfolio=desk.portfolio)
    assert (position.quantity, position.cost, position.average_cost, position.realised_pnl) == (0, 0, 0, 0)
    trade.refresh_from_db()
    assert (trade.status, trade.fees, trade.realised_pnl) == ("filled", 0, 0)
    execution = Execution.objects.get()
    assert execution.reversed_at is not None and execution.reversal_pnl == 0 and execution.fee > 0
    event = Entry.objects.filter(stream_id=desk.portfolio.id).latest("seq")
    assert event.kind == "entry.reversed"
    assert execution.execution_id in event.payload and "alice" in event.payload
    agree(desk)


def test_a_reversed_sell_gives_units_and_their_cost_back(desk: Desk) -> None:
    buy, sell = bought_and_sold(desk)
    profit = desk.refresh().session.total_pnl
    assert desk.session.successful_trades == 1 and profit > 0
    take_back(desk, sell)
    position = Position.objects.get(portfolio=desk.portfolio)
    paid = -LedgerTransfer.objects.get(owner_id=buy.id, kind="fill", instrument=None).amount
    assert (position.quantity, position.cost, position.realised_pnl) == (buy.quantity, -paid, 0)
    assert position.opened_at == sell.executed_at
    assert (desk.refresh().session.successful_trades, desk.session.total_pnl) == (0, -buy.fees)
    assert desk.portfolio.realised_pnl == -buy.fees
    agree(desk)


def test_a_buy_whose_units_are_sold_is_not_reversed(desk: Desk) -> None:
    buy, sell = bought_and_sold(desk)
    with pytest.raises(Conflict, match="reverse what was sold first") as caught:
        take_back(desk, buy)
    assert caught.value.code == "units_not_free"
    take_back(desk, sell)
    take_back(desk, buy)
    assert desk.refresh().portfolio.cash == 100_000
    agree(desk)


def test_what_the_units_left_cannot_carry_is_realised(desk: Desk, market: Market) -> None:
    """Bought at 100 and at 200, half sold: the rest cost less than what the second buy paid."""
    market.advise("AAA")
    desk.step()
    market.closes["AAA"] = 200  # the last bar closed there: else the price collar takes it for a wrong price
    desk.step(AAA=200)
    first, second = desk.trades()
    assert first.quantity > second.quantity
    desk.add_rule(**TAKE_PROFIT)
    market.advise("AAA", "HOLD", 0.5)
    market.tick()
    position = Position.objects.get(portfolio=desk.portfolio)
    take_back(desk, second)
    left = Position.objects.get(portfolio=desk.portfolio)
    assert (left.quantity, left.cost) == (first.quantity, first.quantity * first.executed_price)
    assert left.average_cost < position.average_cost
    agree(desk)


def test_a_fill_is_reversed_once(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    take_back(desk, trade)
    with pytest.raises(Conflict) as caught:
        take_back(desk, trade)
    assert caught.value.code == "already_reversed"


def test_reserved_units_are_not_taken(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    desk.add_rule(**TAKE_PROFIT)
    market.tick(AAA=120)
    desk.evaluate()
    buy, sell = desk.trades()
    assert sell.status == "pending"
    with pytest.raises(Conflict) as caught:
        take_back(desk, buy)
    assert caught.value.code == "units_not_free"


def test_a_trade_that_still_works_is_not_corrected(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    AutoTrade.objects.filter(pk=trade.pk).update(status="partially_filled")
    with pytest.raises(Conflict) as caught:
        take_back(desk, trade)
    assert caught.value.code == "trade_working"


def test_units_of_before_a_split_are_not_reversed_after_it(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    (trade,) = desk.trades()
    market.tick()
    action, _ = record(
        NewCorporateAction(
            external_id="s", symbol="AAA", kind="split", ex_at=market.as_of, new_units=2, old_units=1
        ),
        actor=None,
    )
    apply_corporate_action(action.id)
    with pytest.raises(Conflict, match="2:1") as caught:
        take_back(desk, trade)
    assert caught.value.code == "split_since"
    split = LedgerTransfer.objects.get(kind="split")
    reverse_ledger_entry(
        portfolio_id=desk.portfolio.id, entry_id=split.entry_id, actor=desk.owner, reason="no split"
    )
    take_back(desk, trade)
    assert desk.refresh().portfolio.cash == 100_000
    agree(desk)


def test_a_deposit_is_no_execution(desk: Desk) -> None:
    made = LedgerTransfer.objects.get(kind="deposit")
    with pytest.raises(NotFound, match="no fill"):
        reverse_execution(
            portfolio_id=desk.portfolio.id, entry_id=made.entry_id, actor=desk.owner, reason="x"
        )
    reverse_ledger_entry(portfolio_id=desk.portfolio.id, entry_id=made.entry_id, actor=desk.owner, reason="x")
    assert desk.refresh().portfolio.cash == 0
