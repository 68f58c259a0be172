"""How often sessions are evaluated, and in which slices: one cadence a slice, and nothing for those that do not run."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from foundation.clock import database_now
from market.models import Snapshot
from sessions.models import EvaluationRun, EvaluationSlice, TradingSession
from sessions.services import slices
from sessions.services.sessions import start_trading_session, stop_trading_session
from sessions.services.slices import claim_due_slice, close_empty_slices, slice_with_room
from tests.harness.trading import Desk, Market
from trading.services.auto_trading import evaluate_next_slice
from trading.services.pruning import prune
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration
LOCK_SECONDS = 2  # so long a statement waits for a lock before it fails
EVERY_MINUTE = {"evaluation": {"every_seconds": 60}}


def runs_of(desk: Desk) -> list[int]:
    """The slots in which the desk's slice was evaluated."""
    rows = EvaluationRun.objects.filter(slice_id=desk.session.slice_id)
    return list(rows.order_by("slot").values_list("slot", flat=True))


def let_it_be_due(desk: Desk) -> None:
    """As if its seconds had passed."""
    EvaluationSlice.objects.filter(pk=desk.session.slice_id).update(due_at=database_now())


def stop(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()


def newest() -> int:
    return Snapshot.objects.latest("version").version


def test_a_session_by_the_clock_waits_for_its_seconds_while_another_goes_with_each_tick(
    market: Market,
) -> None:
    market.tick()
    every_minute, each_tick = (
        Desk.open(market, owner="alice", config=EVERY_MINUTE),
        Desk.open(market, owner="bob"),
    )
    assert every_minute.session.slice_id != each_tick.session.slice_id
    market.advise("AAA")
    first = newest() + 1
    each_tick.step()
    market.advise("BBB")
    each_tick.step()
    assert (runs_of(every_minute), runs_of(each_tick)) == ([first], [first, first + 1])
    assert {trade.symbol for trade in every_minute.trades()} == {"AAA"}
    row = EvaluationSlice.objects.get(pk=every_minute.session.slice_id)
    assert timedelta(seconds=50) < row.due_at - database_now() <= timedelta(seconds=60)

    let_it_be_due(every_minute)
    assert evaluate_next_slice() is not None
    assert {trade.symbol for trade in every_minute.trades()} == {"AAA", "BBB"}
    let_it_be_due(every_minute)
    assert evaluate_next_slice() is None  # never the same snapshot twice


def test_sessions_of_one_cadence_fill_one_slice_after_another(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_SESSIONS_MAX", 2)
    a, b, c = (Desk.open(market, owner=f"owner-{number}", config=EVERY_MINUTE) for number in range(3))
    other = Desk.open(market, owner="other", config={"evaluation": {"every_seconds": 30}})
    assert a.session.slice_id == b.session.slice_id
    assert len({a.session.slice_id, c.session.slice_id, other.session.slice_id}) == 3
    stop(c)
    stop(a)
    # Room in an older slice is not looked for; what does not run makes room in the newest.
    d, e = (Desk.open(market, owner=f"late-{number}", config=EVERY_MINUTE) for number in range(2))
    assert {d.session.slice_id, e.session.slice_id} == {c.session.slice_id}
    cadences = EvaluationSlice.objects.values_list("every_seconds", flat=True)
    assert sorted(cadences) == [30, 60, 60]


def test_a_slice_in_which_nothing_runs_costs_nothing(desk: Desk, market: Market) -> None:
    stop(desk)
    market.tick()
    assert evaluate_next_slice() is None
    prune()
    old = EvaluationSlice.objects.get(pk=desk.session.slice_id)
    assert old.closed_at is not None
    desk.session = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    assert desk.session.slice_id != old.pk
    market.advise("AAA")
    desk.step()
    assert len(desk.trades()) == 1 and not EvaluationRun.objects.filter(slice=old).exists()
    prune()
    assert EvaluationSlice.objects.filter(closed_at=None).get().pk == desk.session.slice_id


def in_another_thread(work: Any) -> Any:
    """Its answer, on a connection of its own; it must not have to wait for this one."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(work())
        except Exception as error:
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return answers[0]


def test_who_starts_does_not_wait_for_who_evaluates(market: Market) -> None:
    version = market.tick()
    desk = Desk.open(market)
    with transaction.atomic():
        claimed = claim_due_slice(version=version)
        assert claimed is not None and claimed.pk == desk.session.slice_id
        other = in_another_thread(lambda: Desk.open(market, owner="bob"))
        assert other.session.slice_id == claimed.pk
        assert in_another_thread(close_empty_slices) == 0


def test_a_slice_that_somebody_joins_is_not_closed_under_him(market: Market) -> None:
    market.tick()
    stop(Desk.open(market))
    with transaction.atomic():
        joined = slice_with_room(every_seconds=0)
        assert in_another_thread(close_empty_slices) == 0
    assert in_another_thread(close_empty_slices) == 1
    assert slice_with_room(every_seconds=0) != joined


def claim(version: int) -> int | None:
    with transaction.atomic():
        claimed = claim_due_slice(version=version)
        return claimed.pk if claimed is not None else None


def test_while_one_slice_is_claimed_another_is_claimed_at_once(market: Market) -> None:
    """Who is busy with a slice makes nobody wait: not for it, and not for the next one."""
    market.tick()
    first = Desk.open(market, owner="alice").session
    second = Desk.open(market, owner="bob").session
    TradingSession.objects.filter(pk=second.pk).update(slice=EvaluationSlice.objects.create())
    second.refresh_from_db()
    version = market.tick()
    with transaction.atomic():
        held = claim_due_slice(version=version)
        assert held is not None and held.pk == first.slice_id
        began = time.monotonic()
        assert in_another_thread(lambda: claim(version)) == second.slice_id
        assert time.monotonic() - began < LOCK_SECONDS
    assert claim(version) == first.slice_id


def test_nobody_waits_for_the_only_slice_that_is_claimed(market: Market) -> None:
    market.tick()
    Desk.open(market)
    version = market.tick()
    with transaction.atomic():
        assert claim_due_slice(version=version) is not None
        assert in_another_thread(lambda: claim(version)) is None
