"""Why a rule did not trade at a moment that is over: the facts of then, whatever has happened since."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from foundation.clock import database_now
from foundation.errors import InvalidInput, NotFound
from market.models import Snapshot
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import PastReservation, Portfolio, PortfolioMark, PositionMark
from portfolios.services.corporate_actions import book_due_actions
from portfolios.services.portfolios import deposit, withdraw
from rules.models import TradingRule
from rules.services.rules import activate_rule, archive_rule, deactivate_rule, update_rule
from sessions.models import EvaluationRun
from sessions.services.sessions import pause_trading_session, resume_trading_session
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from trading.models import AutoTrade, Decision
from trading.services.manual import place_trade
from trading.services.pruning import prune
from trading.services.trade_execution import execute_pending
from trading.services.why_not import Answer, Question, why_not

pytestmark = pytest.mark.integration
ENTRY, EXIT = "AI Strong Buy Entry", "Stop Loss Protection"


def rule_of(desk: Desk, name: str = EXIT) -> TradingRule:
    return TradingRule.objects.get(portfolio=desk.portfolio, name=name)


def ask(desk: Desk, symbol: str | None = "AAA", name: str = EXIT, **when: Any) -> Answer:
    rule = rule_of(desk, name)
    return why_not(Question(desk.portfolio, symbol=symbol, rule=rule, **when))


def threshold(percent: float) -> dict[str, Any]:
    return {**STOP_LOSS, "conditions": [{**STOP_LOSS["conditions"][0], "value": percent}]}


def order(desk: Desk, symbol: str, side: str, quantity: int) -> AutoTrade:
    return place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=Decimal(quantity), actor=desk.owner
    )


def codes(answer: Answer) -> list[str]:
    return [reason.code for reason in answer.reasons]


@pytest.fixture
def holder(desk: Desk, market: Market) -> Desk:
    """It holds AAA, bought at about 100; the advice that it was bought by is gone."""
    market.advise("AAA")
    desk.step()
    desk.step()
    del market.advice["AAA"]
    return desk


def test_the_facts_of_then_are_told_after_everything_has_changed(holder: Desk, market: Market) -> None:
    """Three fills, a deposit, a new peak, another content of the rule, a rest of market time."""
    slot = market.tick(AAA=96.5)
    holder.evaluate()
    at = market.as_of
    before = ask(holder, slot=slot)
    assert (before.outcome, codes(before), before.evaluated) == (False, ["not_true"], True)
    assert "position pnl percentage is -3." in before.reasons[0].detail

    order(holder, "AAA", "buy", 7)
    execute_pending()
    order(holder, "BBB", "buy", 5)
    execute_pending()
    order(holder, "AAA", "sell", 20)
    execute_pending()
    deposit(portfolio_id=holder.portfolio.id, amount=Decimal(50_000), actor=holder.owner)
    update_rule(rule_id=rule_of(holder).id, rule=threshold(-50), actor=holder.owner)
    for price in (120.0, 150.0, 99.0):
        holder.step(AAA=price)
    assert PortfolioMark.objects.get(portfolio=holder.portfolio).peak_equity > 150_000
    assert PositionMark.objects.get(position__instrument__symbol="AAA").peak_price == 150

    after = ask(holder, slot=slot)
    assert (after.facts, after.explanation, after.reasons) == (
        before.facts,
        before.explanation,
        before.reasons,
    )
    assert (after.moment, after.version, after.was_active) == (before.moment, before.version, True)
    assert ask(holder, at=at).facts == before.facts
    assert ask(holder, at=at + timedelta(seconds=59)).facts == before.facts
    now = ask(holder, at=market.as_of)
    assert now.facts != before.facts and now.version is not None and now.version.version == 2


def test_another_threshold_gives_another_answer(holder: Desk, market: Market) -> None:
    slot = market.tick(AAA=96.5)
    holder.evaluate()
    order(holder, "AAA", "sell", 20)
    execute_pending()
    for percent, outcome in ((-5, False), (-3, True), (-4, False)):
        answer = why_not(Question(holder.portfolio, slot=slot, symbol="AAA", content=threshold(percent)))
        assert (answer.outcome, answer.version is not None and answer.version.rule_id) == (outcome, None)
        assert answer.facts == ask(holder, slot=slot).facts


def test_what_was_recorded_tells_what_a_rule_came_to_that_was_true(holder: Desk, market: Market) -> None:
    """The explanation of the replay is that of the record, by code that has never seen it."""
    slot = market.tick(AAA=90.0)
    holder.evaluate()
    execute_pending()
    holder.step(AAA=50.0)
    answer = ask(holder, slot=slot)
    decision = Decision.objects.get(rule=rule_of(holder), outcome="traded")
    assert (codes(answer), answer.reasons[0].decision_id) == (["traded"], decision.id)
    assert answer.explanation == decision.explanation


def test_what_was_promised_then_counts_and_what_is_promised_now_does_not(desk: Desk, market: Market) -> None:
    """A buy is pending while the evaluation looks: its cash is spent, its symbol held. Then it is filled."""
    market.advise("AAA")
    desk.market.tick()
    desk.evaluate()
    market.advice.clear()
    slot = market.tick()
    desk.evaluate()
    portfolio = Portfolio.objects.get(pk=desk.portfolio.id)
    assert portfolio.reserved_cash > 0
    free = float((portfolio.cash - portfolio.reserved_cash) / portfolio.cash * 100)
    execute_pending()
    assert PastReservation.objects.count() == 1
    order(desk, "BBB", "buy", 100)
    facts = ask(desk, slot=slot).facts
    assert facts["portfolio_cash_percentage"] == pytest.approx(free, abs=1e-9)
    assert (facts["open_positions"], facts["position_quantity"]) == (1, None)


def test_an_unknown_or_stale_fact_of_then_stays_unknown(holder: Desk, market: Market) -> None:
    market.price_age_seconds = 500
    stale = market.tick(AAA=80.0)
    holder.evaluate()
    market.price_age_seconds = 0
    fresh = market.tick(AAA=97.0)
    holder.evaluate()
    answer = ask(holder, slot=stale)
    assert (answer.outcome, codes(answer), answer.facts["price"]) == (None, ["unknown"], None)
    assert ask(holder, slot=fresh).facts["price"] == 97.0


def test_a_rule_is_taken_as_it_was_then(holder: Desk, market: Market) -> None:
    rule = rule_of(holder)
    slots = [market.tick(AAA=97.0)]
    holder.evaluate()
    deactivate_rule(rule_id=rule.id, actor=holder.owner)
    slots.append(market.tick(AAA=97.0))
    holder.evaluate()
    activate_rule(rule_id=rule.id, actor=holder.owner)
    update_rule(rule_id=rule.id, rule=threshold(-2), actor=holder.owner)
    slots.append(market.tick(AAA=99.5))
    holder.evaluate()
    archive_rule(rule_id=rule.id, actor=holder.owner)
    slots.append(market.tick(AAA=99.5))
    holder.evaluate()
    told = [ask(holder, slot=slot) for slot in slots]
    assert [codes(answer) for answer in told] == [
        ["not_true"], ["rule_not_active", "not_true"], ["not_true"], ["rule_not_active", "not_true"]
    ]  # fmt: skip
    assert [answer.version and answer.version.version for answer in told] == [1, 1, 2, 2]

    late = holder.add_rule(**{**STRONG_BUY_ENTRY, "name": "Late", "rule_type": "entry"})
    answer = why_not(Question(holder.portfolio, slot=slots[0], rule=late))
    assert (codes(answer), answer.explanation, answer.version) == (["rule_not_made"], None, None)


def test_a_session_is_taken_as_it_was_then(holder: Desk, market: Market) -> None:
    pause_trading_session(session_id=holder.session.id, actor=holder.owner)
    paused = market.tick()
    holder.evaluate()
    resume_trading_session(session_id=holder.session.id, actor=holder.owner)
    resumed = market.tick()
    holder.evaluate()
    assert codes(ask(holder, "BBB", ENTRY, slot=paused)) == ["session_paused", "unknown"]
    assert ask(holder, slot=paused).session_status == "paused"
    assert codes(ask(holder, slot=paused)) == ["not_true"]
    assert codes(ask(holder, "BBB", ENTRY, slot=resumed)) == ["unknown"]


def test_a_slot_that_nobody_evaluated_says_so_and_where_it_was(holder: Desk, market: Market) -> None:
    before = EvaluationRun.objects.latest("slot").slot
    skipped, after = market.tick(AAA=90.0), market.tick(AAA=99.0)
    holder.evaluate()
    answer = ask(holder, slot=skipped)
    assert (answer.evaluated, codes(answer)) == (False, ["not_evaluated"])
    assert answer.reasons[0].detail.endswith(f"It was on slot {before} and slot {after}.")
    assert answer.outcome is True


def test_before_the_first_session_none_ran(market: Market) -> None:
    slot = market.tick()
    desk = Desk.open(market)
    market.tick()
    desk.evaluate()
    answer = ask(desk, slot=slot)
    assert (codes(answer)[0], answer.session, answer.facts["portfolio_equity"]) == ("no_session", None, 0)


def test_a_withdrawal_of_later_moves_no_mark_of_then(holder: Desk, market: Market) -> None:
    holder.step(AAA=110.0)
    slot = market.tick(AAA=100.0)
    holder.evaluate()
    before = ask(holder, slot=slot).facts
    assert before["drawdown_percentage"] > 0
    withdraw(portfolio_id=holder.portfolio.id, amount=Decimal(60_000), actor=holder.owner)
    assert ask(holder, slot=slot).facts == before


def test_a_split_on_its_way_makes_the_price_unknown_then_and_for_ever(holder: Desk, market: Market) -> None:
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + timedelta(minutes=1), new_units=2,
        old_units=1, cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    old = market.tick(minutes=0.5)
    holder.evaluate()
    record(item, actor=None)
    market.closes["AAA"] = 50.0
    on_its_way = market.tick(AAA=50.0)
    holder.evaluate()
    book_due_actions()
    booked = market.tick(AAA=50.0)
    holder.evaluate()
    told = [ask(holder, slot=slot) for slot in (old, on_its_way, booked)]
    assert [answer.outcome for answer in told] == [False, None, False]
    held = [answer.facts["position_quantity"] for answer in told]
    assert held == [99, 99, 198] and told[1].facts["portfolio_equity"] is None


def test_what_was_being_committed_was_not_seen(holder: Desk, market: Market, committed_db: Any) -> None:
    """Its rows are older than the evaluation's look, but nobody saw them: by time alone they would count."""
    with psycopg.connect(committed_db.owner_url) as slow:
        slow.execute(
            "INSERT INTO ledger_transfers (entry_id, portfolio_id, kind, debit_account, credit_account, asset, amount,"
            " execution_id, memo) VALUES (gen_random_uuid(), %s, 'deposit', 'cash', 'capital', 'USD', 1000, '', '')",
            [holder.portfolio.id],
        )
        slot = market.tick(AAA=97.0)
        holder.evaluate()
        slow.execute(
            "UPDATE portfolios_portfolio SET cash = cash + 1000 WHERE id = %s", [holder.portfolio.id]
        )
    late = market.tick(AAA=97.0)
    holder.evaluate()
    equities = [ask(holder, slot=each).facts["portfolio_equity"] for each in (slot, late)]
    assert equities[1] - equities[0] == 1000


def test_how_far_back_it_reaches_is_told(holder: Desk, market: Market) -> None:
    with pytest.raises(NotFound) as caught:
        ask(holder, slot=10_000)
    assert (caught.value.code, caught.value.extra["oldest_slot"]) == ("snapshot_not_kept", 1)
    with pytest.raises(NotFound):
        ask(holder, at=Snapshot.objects.earliest("version").as_of - timedelta(seconds=1))


def test_what_nobody_can_ask_about_any_more_is_forgotten(holder: Desk) -> None:
    assert PastReservation.objects.exists() and EvaluationRun.objects.exists()
    prune()
    assert PastReservation.objects.exists() and EvaluationRun.objects.exists()
    long_ago = database_now() - timedelta(minutes=settings.SNAPSHOT_RETENTION_MINUTES + 61)
    PastReservation.objects.update(until=long_ago)
    EvaluationRun.objects.update(created_at=long_ago)
    prune()
    assert not PastReservation.objects.exists() and not EvaluationRun.objects.exists()


def test_faults_name_their_place_and_cure(holder: Desk, market: Market) -> None:
    for symbol, cure in (("AAAB", "Did you mean AAA?"), (None, "Name the one that you ask about.")):
        with pytest.raises(InvalidInput) as caught:
            ask(holder, symbol, slot=2)
        (error,) = caught.value.errors or []
        assert (error["path"], error["suggestion"]) == ("symbol", cure)
    with pytest.raises(InvalidInput) as caught:
        faulty = {**STOP_LOSS, "conditions": [{"field": "pric"}]}
        why_not(Question(holder.portfolio, slot=1, symbol="AAA", content=faulty))
    assert "rule.conditions[0]" in {error["path"] for error in caught.value.errors or []}


def test_it_reads_only(holder: Desk, market: Market) -> None:
    """The application could not even be kept from it by a transaction that may write nothing."""
    slot = market.tick(AAA=97.0)
    holder.evaluate()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert ask(holder, slot=slot).outcome is False
        finally:
            cursor.execute("SET default_transaction_read_only = off")
