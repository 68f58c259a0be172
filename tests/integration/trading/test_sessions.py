"""A session's life, and what trading does in each part of it."""

import uuid

import pytest
from django.db import IntegrityError, connection

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput
from journal.models import Alert
from rules.models import RuleVersion
from rules.services import programs
from sessions.models import EvaluationRun, TradingSession
from sessions.selectors import get_active_sessions
from sessions.services import sessions
from sessions.services.sessions import (
    finish_stop,
    pause_trading_session,
    report_failure,
    resume_trading_session,
    start_trading_session,
    stop_trading_session,
)
from tests.harness.trading import Desk, Market
from trading.services import auto_trading
from trading.services.auto_trading import evaluate_next_slice
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


def test_a_second_session_is_a_conflict_that_names_the_running_one(desk: Desk) -> None:
    with pytest.raises(Conflict, match=str(desk.session.id)):
        start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    assert TradingSession.objects.count() == 1


@pytest.mark.parametrize("status", ["active", "paused", "stopping"])
def test_the_database_keeps_a_second_one_from_running_whatever_writes_it(desk: Desk, status: str) -> None:
    another = """
        INSERT INTO trading_sessions (id, portfolio_id, session_name, status, end_time, total_trades,
                                      successful_trades, total_pnl, config, slice_id, stop_reason)
        SELECT gen_random_uuid(), portfolio_id, 'Another', %s, %s, 0, 0, 0, '{}', slice_id, ''
        FROM trading_sessions WHERE id = %s
    """
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError, match="one_running_session_per_portfolio"):
            cursor.execute(another, [status, None, desk.session.id])
        cursor.execute(another, ["stopped", database_now(), desk.session.id])
    assert set(TradingSession.objects.values_list("status", flat=True)) == {"active", "stopped"}


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"universe": {"symbols": ["AAB"]}}, "config.universe.symbols[0]"),  # a typing mistake
        ({"univers": {}}, "config.univers"),  # an unknown key
        ({"limits": {"max_order_value": "NaN"}}, "config.limits.max_order_value"),  # no number
        ({"on_stop": "sell"}, "config.on_stop"),  # no such choice
        ([], "config"),  # no object at all
    ],
)
def test_a_bad_config_is_refused_with_its_path(desk: Desk, config: object, path: str) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    with pytest.raises(InvalidInput) as caught:
        start_trading_session(portfolio_id=desk.portfolio.id, config=config, actor=desk.owner)
    assert [row["path"] for row in caught.value.errors or []] == [path]
    assert TradingSession.objects.count() == 1


def test_a_paused_session_makes_no_entries_but_keeps_its_exits(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    market.advise("BBB")
    desk.step(AAA=90.0)
    assert [(t.symbol, t.trade_type) for t in desk.trades()] == [("AAA", "buy"), ("AAA", "sell")]
    resume_trading_session(session_id=desk.session.id, actor=desk.owner)
    desk.step()
    assert ("BBB", "buy") in [(t.symbol, t.trade_type) for t in desk.trades()]


def test_an_entry_that_is_pending_when_the_session_pauses_is_cancelled(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    execute_pending()
    (trade,) = desk.trades()
    assert (trade.status, trade.status_reason) == ("cancelled", "its session is paused")


def test_an_entry_that_was_pending_at_a_pause_is_cancelled_though_the_session_goes_on(
    desk: Desk, market: Market
) -> None:
    """Nobody looked while it was paused. What is decided after it is executed, and an exit from before it, too."""
    market.advise("AAA")
    desk.step()
    market.advise("BBB")
    market.tick(AAA=90.0)
    desk.evaluate()
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    resume_trading_session(session_id=desk.session.id, actor=desk.owner)
    execute_pending()
    _, *after = [(t.symbol, t.trade_type, t.status, t.status_reason) for t in desk.trades()]
    assert sorted(after) == [
        ("AAA", "sell", "filled", ""),
        ("BBB", "buy", "cancelled", "its session was paused after it was decided"),
    ]
    desk.step(AAA=90.0)
    assert desk.held("BBB") > 0
    assert book_differences() == []


def test_a_session_that_broke_and_goes_on_sends_no_entry_from_before(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    report_failure(session_id=desk.session.id, reason="a bug")
    resume_trading_session(session_id=desk.session.id, actor=desk.owner)
    execute_pending()
    assert [trade.status for trade in desk.trades()] == ["cancelled"]


def test_a_pause_wakes_who_sends_on_paper_and_at_real_brokers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[tuple[str, str]] = []
    monkeypatch.setattr(sessions, "wake_on_commit", lambda task, *, queue: woken.append((task, queue)))
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert woken == [("trading.tasks.execute_due", "execution"), ("trading.tasks.send_due", "broker")]


def test_active_sessions_come_in_pages(market: Market) -> None:
    market.tick()
    desks = [Desk.open(market, owner=f"owner-{number}") for number in range(3)]
    pause_trading_session(session_id=desks[0].session.id, actor=desks[0].owner)
    active = sorted(desk.session.id for desk in desks[1:])
    first = get_active_sessions(count_max=1)
    assert [row.id for row in first] == active[:1]
    assert [row.id for row in get_active_sessions(after=first[0].id)] == active[1:]


def test_stopping_keeps_positions_unless_asked_to_flatten(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1
    desk.refresh()
    assert (
        desk.session.status == "stopped" and desk.session.end_time is not None and not desk.session.is_active
    )
    assert desk.held("AAA") == 50


def test_flattening_sells_what_is_held_before_the_session_ends(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 0  # the sale is on its way
    execute_pending()
    assert finish_stopping() == 1
    desk.refresh()
    assert desk.held("AAA") == 0 and desk.session.status == "stopped"
    sale = desk.trades()[-1]
    assert (sale.origin, sale.trade_type, sale.rule_id) == ("flatten", "sell", None)
    assert book_differences() == []


def test_a_stopped_session_stays_stopped(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    for action in (resume_trading_session, pause_trading_session, stop_trading_session):
        with pytest.raises(Conflict):
            action(session_id=desk.session.id, actor=desk.owner)
    with pytest.raises(Conflict):
        finish_stop(session_id=desk.session.id)


def test_a_session_that_breaks_is_paused_and_the_others_trade(market: Market, committed_db) -> None:
    market.tick()
    good, poisoned, other = (Desk.open(market, owner=f"owner-{n}") for n in range(3))
    assert good.session.slice_id == poisoned.session.slice_id
    version = RuleVersion.objects.get(rule__portfolio=poisoned.portfolio, rule_type="entry")
    with committed_db.as_owner() as owner:
        owner.execute("ALTER TABLE rule_versions DISABLE TRIGGER USER")
        owner.execute(
            'UPDATE rule_versions SET conditions = \'[{"field": "gone"}]\' WHERE id = %s', [version.pk]
        )
    market.advise("AAA")
    good.step()
    assert [len(desk.trades()) for desk in (good, poisoned, other)] == [1, 0, 1]
    assert poisoned.refresh().session.status == "paused"
    assert "evaluation failed" in Alert.objects.get(stream=poisoned.portfolio.id).message
    assert EvaluationRun.objects.filter(slot=2).count() == 1


def test_one_whose_exits_break_costs_the_others_of_its_slice_no_reading_and_compiling(
    market: Market, committed_db, monkeypatch
) -> None:
    """It is paused, and breaks at each tick all the same, for the exits of a paused session go on."""
    market.tick()
    desks = [Desk.open(market, owner=f"owner-{n}") for n in range(5)]
    version = RuleVersion.objects.get(rule__portfolio=desks[2].portfolio, rule_type="exit")
    with committed_db.as_owner() as owner:
        owner.execute("ALTER TABLE rule_versions DISABLE TRIGGER USER")
        owner.execute(
            'UPDATE rule_versions SET conditions = \'[{"field": "gone"}]\' WHERE id = %s', [version.pk]
        )
    for _ in range(2):  # once when it is active, once paused
        market.tick()
        evaluate_next_slice()
    assert desks[2].refresh().session.status == "paused"
    monkeypatch.setattr(programs, "compile_program", None)
    monkeypatch.setattr(auto_trading, "rules_in_force", None)
    market.advise("AAA")
    market.tick()
    run = evaluate_next_slice()
    assert (run.triggered, run.sessions) == (4, 5)
    assert [len(desk.trades()) for desk in desks] == [1, 1, 0, 1, 1]


def test_restarting_after_a_stop_goes_on_with_the_positions(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 0
    assert isinstance(desk.trades()[-1].session_id, uuid.UUID)
