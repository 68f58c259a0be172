"""What breaks in one place stops nobody elsewhere, and nobody is blamed for a busy database."""

import json
from collections import Counter
from typing import Any

import pytest
from django.test import Client

from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, Entry, Stream
from portfolios.models import Portfolio
from rules.models import RuleVersion
from rules.services.rules import update_rule
from sessions.models import EvaluationRun, EvaluationSlice
from sessions.services.sessions import resume_trading_session
from tests.harness.databases import CommittedDatabase
from tests.harness.people import person
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import held_by_another
from trading.core.paper_matching import Progress
from trading.models import Halt
from trading.services import auto_trading, paper_sorting, trade_execution
from trading.services.auto_trading import FailedSlice, evaluate_next_slice
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


def spoil_exit(desk: Desk, committed_db: CommittedDatabase) -> None:
    """What its exit rule says cannot be evaluated, though nobody may write so."""
    version = RuleVersion.objects.get(rule__portfolio=desk.portfolio, rule_type="exit")
    with committed_db.as_owner() as owner:
        owner.execute("ALTER TABLE rule_versions DISABLE TRIGGER USER")
        owner.execute(
            'UPDATE rule_versions SET conditions = \'[{"field": "gone"}]\' WHERE id = %s', [version.pk]
        )


def test_a_slice_that_fails_waits_and_the_others_go_on(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.services.slices.SLICE_SESSIONS_MAX", 1)
    market.tick()
    bad, good = Desk.open(market, owner="one"), Desk.open(market, owner="two")
    assert bad.session.slice_id != good.session.slice_id
    genuine = auto_trading.record_run

    def broken(row: Any, **more: Any) -> EvaluationRun:
        if row.id == bad.session.slice_id:
            raise RuntimeError("a defect")
        return genuine(row, **more)

    monkeypatch.setattr(auto_trading, "record_run", broken)
    market.advise("AAA")
    market.tick()
    results = [evaluate_next_slice() for _ in range(3)]
    assert isinstance(results[0], FailedSlice) and results[0].slice_id == bad.session.slice_id
    assert isinstance(results[1], EvaluationRun) and results[2] is None
    assert [len(desk.trades()) for desk in (bad, good)] == [0, 1]
    monkeypatch.setattr(auto_trading, "record_run", genuine)
    bad.session.slice.refresh_from_db()
    assert (
        bad.session.slice.failures == 1 and bad.session.slice.evaluated_slot == 0
    )  # still due, a little later


def test_a_slice_that_fails_three_times_in_a_row_is_told_of_once(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(row: Any, **more: Any) -> EvaluationRun:
        raise RuntimeError("a defect")

    monkeypatch.setattr(auto_trading, "record_run", broken)
    for told in (0, 0, 1, 1):
        market.tick()
        EvaluationSlice.objects.update(due_at=database_now())  # it waits, longer each time
        assert isinstance(evaluate_next_slice(), FailedSlice)
        assert Alert.objects.filter(stream=PLATFORM_STREAM, kind="slice.failing").count() == told
    entry = Entry.objects.get(kind="slice.failing")
    assert json.loads(entry.payload)["failures"] == 3 and "a defect" in json.loads(entry.payload)["reason"]


def test_a_broken_session_that_is_paused_is_told_of_once_and_stops_nobody(
    market: Market, committed_db: CommittedDatabase
) -> None:
    market.tick()
    good, broken = Desk.open(market, owner="one"), Desk.open(market, owner="two")
    spoil_exit(broken, committed_db)
    market.advise("AAA")
    for _ in range(3):
        good.step()
    assert broken.refresh().session.status == "paused"
    (alert,) = Alert.objects.filter(stream=broken.portfolio.id)
    assert "exits included" in alert.message
    resume_trading_session(session_id=broken.session.id, actor=broken.owner)
    good.step()  # it breaks again: the pause is journalled, and nobody is told a second time
    assert broken.refresh().session.status == "paused"
    told = Entry.objects.filter(stream_id=broken.portfolio.id).values_list("kind", flat=True)
    assert Counter(told)["session.paused"] == 2 and Counter(told)["session.failing"] == 1
    assert len(good.trades()) == 2


def test_a_broken_session_that_cannot_be_paused_now_costs_nobody_his_trades(
    market: Market, committed_db: CommittedDatabase
) -> None:
    """What was evaluated is committed when it is to be paused: its slice has not failed, the trades are carried out."""
    market.tick()
    good, broken = Desk.open(market, owner="one"), Desk.open(market, owner="two")
    spoil_exit(broken, committed_db)
    market.advise("AAA")
    market.tick()
    with held_by_another(Stream, broken.portfolio.id):
        run = evaluate_next_slice(carry_out=trade_execution.execute_or_wake)
    assert isinstance(run, EvaluationRun) and run.trades == 1
    assert [trade.status for trade in good.trades()] == ["filled"]
    assert (EvaluationSlice.objects.get().failures, broken.refresh().session.status) == (0, "active")
    good.step()
    assert broken.refresh().session.status == "paused", "it broke again"


def test_a_busy_portfolio_is_nobodys_fault(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    with held_by_another(Portfolio, desk.portfolio.id):
        assert isinstance(desk.evaluate(), FailedSlice)  # after the lock timeout
    assert desk.refresh().session.status == "active"
    assert not Alert.objects.exists()
    assert desk.trades() == []


def test_arming_does_not_wait_for_a_busy_journal(desk: Desk, market: Market) -> None:
    with held_by_another(Stream, desk.portfolio.id):
        halt = arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a test", actor=desk.owner)
        assert Halt.objects.get().journalled_at is None
    assert not Alert.objects.exists()
    drain_all()
    halt.refresh_from_db()
    assert halt.journalled_at is not None and halt.drained_at is not None
    assert Alert.objects.count() == 1
    drain_all()
    assert Alert.objects.count() == 1


def test_arming_with_an_idempotency_key_does_not_wait_either(
    desk: Desk, committed_db: CommittedDatabase
) -> None:
    """The console sends a key with every request; the key's transaction must not hold the halt back."""
    token = person("alice").token
    headers = {"authorization": f"Token {token}", "idempotency-key": "once"}
    body = {"scope": "portfolio", "scope_id": str(desk.portfolio.id), "reason": "a test"}
    with held_by_another(Stream, desk.portfolio.id):
        answer = Client().post("/api/emergency-stop", body, content_type="application/json", headers=headers)
        assert answer.status_code == 201, answer.content
        assert Halt.objects.get().journalled_at is None
    drain_all()
    assert Halt.objects.get().journalled_at is not None


def test_what_cannot_be_matched_holds_up_nobody_behind_it(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade_execution, "BATCH_PORTFOLIOS_MAX", 1)
    market.tick()
    desks = sorted(
        (Desk.open(market, owner=f"owner-{n}") for n in range(3)), key=lambda desk: desk.portfolio.id
    )
    market.advise("AAA")
    market.tick()
    desks[0].evaluate()
    genuine = paper_sorting.match

    def closed_for_the_first(trade: Any, **more: Any) -> Any:
        if trade.portfolio_id == desks[0].portfolio.id:
            return Progress(waits="the market is closed")
        return genuine(trade, **more)

    monkeypatch.setattr(paper_sorting, "match", closed_for_the_first)
    assert execute_pending() == 2
    assert [desk.trades()[0].status for desk in desks] == ["pending", "filled", "filled"]


def test_a_portfolio_that_breaks_execution_is_told_of_and_the_others_are_executed(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    desks = [Desk.open(market, owner=f"owner-{n}") for n in range(3)]
    market.advise("AAA")
    market.tick()
    desks[0].evaluate()
    genuine = paper_sorting.match

    def broken(trade: Any, **more: Any) -> Any:
        if trade.portfolio_id == desks[1].portfolio.id:
            raise RuntimeError("a defect")
        return genuine(trade, **more)

    monkeypatch.setattr(paper_sorting, "match", broken)
    for _ in range(2):
        execute_pending()
    assert [desk.trades()[0].status for desk in desks] == ["filled", "pending", "filled"]
    assert Alert.objects.filter(stream=desks[1].portfolio.id, kind="execution.failing").count() == 1
    assert book_differences() == []


def test_a_trade_of_a_rule_that_was_changed_is_not_sent(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    rule = desk.portfolio.trading_rules.get(rule_type="entry")
    smaller = [{**STRONG_BUY_ENTRY["actions"][0], "size_value": 1}]
    update_rule(rule_id=rule.id, rule={**STRONG_BUY_ENTRY, "actions": smaller}, actor=desk.owner)
    execute_pending()
    (trade,) = desk.trades()
    assert (trade.status, trade.status_reason) == ("cancelled", "its rule was changed meanwhile")
