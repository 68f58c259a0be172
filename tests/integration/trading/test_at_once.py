"""Few paper trades are executed by the process that made them; for more, and for brokers, others are woken."""

from collections.abc import Callable

import pytest
from django.db import OperationalError

from tests.harness.trading import Desk, Market
from trading import tasks
from trading.models import AutoTrade
from trading.services import order_management, trade_execution
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
EXECUTE = ("trading.tasks.execute_due", "execution")
SEND = ("trading.tasks.send_due", "broker")


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    names: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks, "watch_platform", lambda: None)
    monkeypatch.setattr(
        order_management, "wake_on_commit", lambda name, *, queue: names.append((name, queue))
    )
    return names


def statuses() -> list[str]:
    return sorted(AutoTrade.objects.values_list("status", flat=True))


def test_what_a_tick_decides_it_also_fills_and_wakes_nobody_for_it(
    desk: Desk, market: Market, woken: list[tuple[str, str]]
) -> None:
    market.advise("AAA")
    market.tick()
    tasks.evaluate_due()
    assert statuses() == ["filled"] and woken == []
    assert desk.held("AAA") == 50
    assert book_differences() == []


def test_many_are_left_to_those_who_do_nothing_else(
    desks: Callable[[int], list[Desk]], market: Market, woken: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(trade_execution, "AT_ONCE_MAX", 1)
    desks(2)
    market.advise("AAA")
    market.tick()
    tasks.evaluate_due()
    assert statuses() == ["pending", "pending"] and woken == [EXECUTE]


def test_a_trade_at_a_real_broker_is_left_to_its_senders(
    desks: Callable[[int], list[Desk]], market: Market, woken: list[tuple[str, str]]
) -> None:
    first, second = desks(2)
    market.advise("AAA")
    market.tick()
    first.evaluate()
    trades = [*first.trades(), *second.trades()]
    trades[0].account.broker = "alpaca"
    woken.clear()
    trade_execution.execute_or_wake(trades)
    assert woken == [SEND]
    assert [trade.status for trade in (*first.trades(), *second.trades())] == ["pending", "filled"]


def test_what_does_not_come_off_stays_due_and_others_are_woken(
    desk: Desk, market: Market, woken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> int:
        raise OperationalError("canceling statement due to lock timeout")

    market.advise("AAA")
    market.tick()
    with monkeypatch.context() as patched:
        patched.setattr(trade_execution, "_execute_in", busy)
        tasks.evaluate_due()
    assert statuses() == ["pending"] and woken == [EXECUTE]
    tasks.execute_due()
    assert statuses() == ["filled"]


def test_a_version_that_may_trade_no_more_leaves_what_it_has_decided(
    desk: Desk, market: Market, woken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    market.advise("AAA")
    market.tick()
    with monkeypatch.context() as patched:
        patched.setattr(trade_execution, "may_trade", lambda: False)
        tasks.evaluate_due()
    assert statuses() == ["pending"]
    tasks.execute_due()
    assert statuses() == ["filled"]
