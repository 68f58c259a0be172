"""The specification's verbs, called by their names."""

import uuid
from decimal import Decimal

import pytest

from foundation.errors import NotFound
from market.services import snapshots
from sessions.selectors import get_active_sessions, sessions_to_evaluate
from tests.harness.trading import Desk, Market
from trading.selectors import get_trading_history
from trading.services.auto_trading import evaluate_rules, execute_triggered_rules
from trading.services.facts import market_view
from trading.services.performance import get_session_performance
from trading.services.trade_execution import execute_trade
from trading.services.worth import read_worth

pytestmark = pytest.mark.integration


def test_evaluate_rules_finds_what_is_true_and_writes_no_trade(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    snapshot = snapshots.current()
    assert snapshot is not None
    view = market_view(snapshot)
    group = sessions_to_evaluate(desk.session.slice_id)
    triggered, rules = evaluate_rules(group, read_worth([desk.portfolio.id], view))
    assert [(hit.version.name, hit.symbol) for hit in triggered] == [("AI Strong Buy Entry", "AAA")]
    assert rules == 2
    assert desk.trades() == [] and desk.decisions() == []


def test_execute_triggered_rules_with_nothing_does_nothing(desk: Desk, market: Market) -> None:
    snapshot = snapshots.current()
    assert snapshot is not None
    assert execute_triggered_rules([], market_view(snapshot), previous_slot=0).trades == []


def test_execute_trade(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    assert execute_trade(trade.id).status == "filled"
    with pytest.raises(NotFound):
        execute_trade(uuid.uuid4())


def test_monitoring(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    desk.step(AAA=110.0)
    assert [row.id for row in get_active_sessions()] == [desk.session.id]
    history = list(get_trading_history(desk.portfolio.id))
    assert history == sorted(history, key=lambda trade: trade.created_at, reverse=True) != []
    told = get_session_performance(desk.session.id)
    held = desk.portfolio.positions.get(instrument__symbol="AAA")
    assert told["unrealised_pnl"] == (Decimal(110) - held.average_cost) * held.quantity
    assert told["realised_pnl"] == -told["fees"] < 0
    with pytest.raises(NotFound):
        get_session_performance(uuid.uuid4())
