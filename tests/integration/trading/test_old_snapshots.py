"""Nothing goes back in market time: who was stopped with a snapshot in hand evaluates nothing by it when he goes on."""

from threading import Thread

import pytest
from django.db import connections

from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from sessions.models import EvaluationRun, EvaluationSlice
from sessions.selectors import SessionGroup
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.models import RuleAct
from trading.services import auto_trading
from trading.services.auto_trading import evaluate_next_slice
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


def in_hand() -> MarketSnapshot:
    snapshot = snapshots.current()
    assert snapshot is not None
    return snapshot


def goes_on_with(old: MarketSnapshot, monkeypatch: pytest.MonkeyPatch) -> object:
    """What a worker does that read this snapshot, and was stopped until now."""
    with monkeypatch.context() as stopped:
        stopped.setattr(snapshots, "current", lambda: old)
        return evaluate_next_slice()


def test_the_rest_of_a_slot_that_is_decided_in_parts_is_not_his(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slice still waits, but for the newer snapshot by which some of its portfolios are decided."""
    monkeypatch.setattr(auto_trading, "PART_HITS_MAX", 2)
    market.tick()
    desks = [Desk.open(market) for _ in range(5)]
    market.advise("AAA")
    market.tick()
    old = in_hand()
    newest = market.tick()
    assert isinstance(evaluate_next_slice(), EvaluationRun)
    assert goes_on_with(old, monkeypatch) is None
    while evaluate_next_slice() is not None:
        pass
    assert [trade.slot for desk in desks for trade in desk.trades()] == [newest] * 5
    assert {run.slot for run in EvaluationRun.objects.all()} == {newest}


def test_a_portfolio_that_has_come_into_another_slice_is_not_his(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its former slice was evaluated by the newest snapshot; the new one, by none."""
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY | {"cooldown": {"minutes": 5}},))
    market.advise("AAA")
    market.tick()
    old = in_hand()
    market.tick()
    assert isinstance(desk.evaluate(), EvaluationRun)
    acted = list(RuleAct.objects.values_list("rule_id", "acted_at"))
    execute_pending()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner, keep=True)
    finish_stopping()
    EvaluationSlice.objects.update(closed_at=market.as_of)
    start_trading_session(portfolio_id=desk.portfolio.id, actor=desk.owner, config={})
    assert goes_on_with(old, monkeypatch) is None
    assert list(RuleAct.objects.values_list("rule_id", "acted_at")) == acted != []


def test_by_the_newest_snapshot_the_work_goes_on(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    Desk.open(market)
    market.tick()
    old = in_hand()
    newest = market.tick()
    assert goes_on_with(old, monkeypatch) is None
    run = evaluate_next_slice()
    assert isinstance(run, EvaluationRun) and run.slot == newest


def test_what_broke_is_tried_again_by_a_snapshot_that_came_meanwhile(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else in a market that is faster than a try nobody would ever find out who is to blame."""
    Desk.open(market)
    market.tick()
    was, newest = auto_trading.sessions_to_evaluate, list[int]()

    def breaks_once(slice_id: int) -> SessionGroup:
        monkeypatch.setattr(auto_trading, "sessions_to_evaluate", was)
        publisher = Thread(target=publish)
        publisher.start()
        publisher.join(30)
        raise ValueError("somebody's data")

    def publish() -> None:
        newest.append(market.tick())
        connections.close_all()

    monkeypatch.setattr(auto_trading, "sessions_to_evaluate", breaks_once)
    run = evaluate_next_slice()
    assert isinstance(run, EvaluationRun) and [run.slot] == newest
