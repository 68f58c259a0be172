"""Several workers at once, on real PostgreSQL connections: everything happens exactly once."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connections

from foundation.errors import Conflict
from sessions.models import EvaluationRun, TradingSession
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.racing import racing
from tests.harness.trading import Desk, Market
from trading.models import AutoTrade, Execution
from trading.services.auto_trading import evaluate_next_slice
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
WORKERS = 4
ROUNDS = 6


def in_parallel(work: Callable[[], object], *, workers: int = WORKERS) -> None:
    """Run the same work in threads that start together; an exception in any of them fails the test."""
    barrier, errors = threading.Barrier(workers), []

    def run() -> None:
        try:
            barrier.wait(10)
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def evaluate_all() -> None:
    while evaluate_next_slice() is not None:
        pass


def execute_all() -> None:
    for _ in range(3):
        execute_pending()


def test_workers_evaluating_and_executing_at_once_trade_once_each(market: Market) -> None:
    market.tick()
    desks = [Desk.open(market, owner=f"owner-{number}") for number in range(8)]
    for round_number in range(ROUNDS):
        market.advise("AAA" if round_number % 2 else "BBB")
        market.tick()
        in_parallel(lambda: (evaluate_all(), execute_all()))
    execute_all()
    assert set(AutoTrade.objects.values_list("status", flat=True)) == {"filled"}
    assert AutoTrade.objects.count() == Execution.objects.count() >= 8 * 2
    per_slot = Counter(AutoTrade.objects.values_list("session_id", "slot", "instrument_id"))
    assert set(per_slot.values()) == {1}
    assert Counter(EvaluationRun.objects.values_list("slice_id", "slot")).most_common(1)[0][1] == 1
    assert len({desk.portfolio.id for desk in desks}) == 8
    assert book_differences() == []


def test_the_last_cash_goes_to_one_rule(market: Market) -> None:
    """Two rules want all the cash in every round; what is promised to one is never promised twice."""
    market.tick()
    rules = tuple(
        {
            "name": f"Wants {symbol}", "rule_type": "entry",
            "conditions": [{"field": "price", "operator": "greater_than", "value": 1}],
            "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "cash", "size_value": 9_000}],
        }
        for symbol in ("one", "two")
    )  # fmt: skip
    desk = Desk.open(market, cash=10_000, rules=rules)
    market.tick()
    in_parallel(evaluate_all)
    desk.refresh()
    assert desk.portfolio.reserved_cash <= desk.portfolio.cash
    assert book_differences() == []


def test_of_two_who_start_a_session_one_is_told_of_the_others(market: Market) -> None:
    market.tick()
    desk = Desk.open(market)

    def start() -> uuid.UUID:
        begun = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
        return begun.id

    with racing(start, start) as racers:
        for _ in range(ROUNDS):
            running = TradingSession.objects.exclude(status="stopped").get()
            stop_trading_session(session_id=running.id, actor=desk.owner)
            assert finish_stopping() == 1
            answers = racers.race()
            (begun,) = [answer for answer in answers if isinstance(answer, uuid.UUID)]
            (refused,) = [answer for answer in answers if isinstance(answer, Conflict)]
            assert (refused.status, refused.code) == (409, "session_running")
            assert refused.extra["session_id"] == str(begun)
            assert TradingSession.objects.exclude(status="stopped").get().id == begun
