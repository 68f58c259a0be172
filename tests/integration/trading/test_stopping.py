"""Sessions that stop are brought to their end a few at a time, and those that cannot end yet are in nobody's way."""

from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models.functions import Now

from sessions.services import calendar, plan_runs
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import Desk, Market
from trading.models import Halt
from trading.services import stopping
from trading.services.emergency_stop import arm
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The successors that runs ask for."""
    tasks: list[str] = []
    monkeypatch.setattr(stopping, "wake", lambda task, *, queue: tasks.append(f"{task} in {queue}"))
    return tasks


@pytest.fixture
def flattening(market: Market) -> list[Desk]:
    """Three who hold AAA and are to sell it when they stop, and one who holds it and keeps it."""
    market.tick()
    configs: list[dict[str, Any]] = [{"on_stop": "flatten"}] * 3 + [{"on_stop": "keep"}]
    desks = [Desk.open(market, owner=f"owner-{n}", config=config) for n, config in enumerate(configs)]
    market.advise("AAA")
    desks[0].step()
    assert all(desk.held("AAA") > 0 for desk in desks)
    return desks


def stop(*desks: Desk) -> None:
    for desk in desks:
        stop_trading_session(session_id=desk.session.id, actor=desk.owner)


def states(desks: list[Desk]) -> list[str]:
    return [desk.refresh().session.status for desk in desks]


def halt(desk: Desk) -> None:
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), mode="halt", reason="enough", actor=None)


def test_those_that_are_stuck_come_behind_one_that_can_end(
    flattening: list[Desk], market: Market, woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "COUNT_MAX", 2)
    market.is_open = False
    market.tick()
    stop(*flattening)
    assert finish_stopping() == 0
    assert woken == ["trading.tasks.finish_stopping in execution"], "two more have not been looked at"
    assert finish_stopping() == 1
    assert states(flattening) == ["stopping", "stopping", "stopping", "stopped"]
    assert len(woken) == 1, "nobody who is stuck is looked at again at once"
    market.is_open = True
    market.tick()
    for _ in range(4):  # two of them sell and end, and then the third
        finish_stopping()
        execute_pending()
    assert states(flattening) == ["stopped"] * 4
    assert [desk.held("AAA") for desk in flattening[:3]] == [0, 0, 0]


def test_who_waits_for_his_sale_comes_before_who_cannot_sell(
    flattening: list[Desk], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, sells = flattening[:2]
    halt(stuck)
    stop(sells, stuck)
    assert finish_stopping() == 0
    execute_pending()
    monkeypatch.setattr(stopping, "COUNT_MAX", 1)
    assert finish_stopping() == 1
    assert states([stuck, sells]) == ["stopping", "stopped"]
    Halt.objects.update(released_at=Now(), released_by=stuck.owner)
    finish_stopping()
    execute_pending()
    assert finish_stopping() == 1 and stuck.held("AAA") == 0


def test_a_run_whose_time_is_up_leaves_the_rest_to_a_successor(
    flattening: list[Desk], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "RUN_SECONDS", 0.0)
    stop(*flattening)
    runs = 0
    while "stopping" in states([flattening[3]]):
        assert len(woken) == runs
        finish_stopping()
        runs += 1
    assert runs == 4, "one in each run, in the order in which they began"


def test_one_that_breaks_goes_behind_the_others(
    flattening: list[Desk], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = flattening[0], flattening[3]
    finish_one: Callable[[Any], bool] = stopping._finish_one

    def finish(session_id: Any) -> bool:
        if session_id == broken.session.id:
            raise RuntimeError("a bug")
        return finish_one(session_id)

    monkeypatch.setattr(stopping, "_finish_one", finish)
    monkeypatch.setattr(stopping, "COUNT_MAX", 1)
    stop(broken, sound)
    assert [finish_stopping(), finish_stopping()] == [0, 1]
    assert states([broken, sound]) == ["stopping", "stopped"]


def test_a_worker_whose_time_is_up_ends(flattening: list[Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    def time_is_up(*args: Any, **kwargs: Any) -> Any:
        raise SoftTimeLimitExceeded

    stop(flattening[0])
    with monkeypatch.context() as patched, pytest.raises(SoftTimeLimitExceeded):
        patched.setattr(stopping, "open_books", time_is_up)
        finish_stopping()
    with monkeypatch.context() as patched, pytest.raises(SoftTimeLimitExceeded):
        patched.setattr(calendar, "ended_sessions", lambda **_: [flattening[1].session.id])
        patched.setattr(calendar, "stop_trading_session", time_is_up)
        calendar.run_calendar()
    with monkeypatch.context() as patched, pytest.raises(SoftTimeLimitExceeded):
        patched.setattr(plan_runs, "due_plans", lambda **_: [(flattening[1].session.id, None)])
        patched.setattr(plan_runs, "_decide", time_is_up)
        calendar.run_calendar()
    assert finish_stopping() == 0
    execute_pending()
    assert finish_stopping() == 1
