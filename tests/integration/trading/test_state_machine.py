"""Deposits, orders, fills, cancels, unknowns and halts in any order: after each step the invariants hold.

A model in plain Python (tests/harness/risk_model.py) says what must be; the real services act on real rows. More
examples and longer ones: STATE_MACHINE_EXAMPLES and STATE_MACHINE_STEPS.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from portfolios.services.books import Books
from tests.harness.trading_machine import TradingMachine, machine_on
from tests.harness.trading_scene import FAR, LIMITS, NEAR, Limits, Scene, set_the_scene
from trading.core.history import History
from trading.core.verdicts import RiskRequest
from trading.services import paper_sorting, risk_management

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.timeout(900)]
EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "30"))
STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "40"))


@pytest.fixture
def scene(db: object) -> Scene:
    return set_the_scene()


def run(
    scene: Scene, *, examples: int, limits: Limits = LIMITS, phases: tuple[Phase, ...] = tuple(Phase)
) -> None:  # fmt: skip
    run_state_machine_as_test(
        machine_on(scene, limits),
        settings=settings(
            max_examples=examples, stateful_step_count=STEPS, deadline=None, database=None, phases=phases,
            report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_the_invariants_hold_after_every_step(scene: Scene) -> None:
    run(scene, examples=EXAMPLES)


def gives_back_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial fill frees half of what the rest still needs."""
    release = Books.release

    def wrong(books: Books, key: Any, *, keep: D = D(0), cash: D | None = None) -> None:
        release(books, key, keep=keep / 2, cash=None if cash is None else cash / 2)

    monkeypatch.setattr(Books, "release", wrong)


def forgets_what_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Approval counts all of the cash as free."""
    request_of = risk_management.request_of

    def wrong(state: Any, wish: Any) -> RiskRequest:
        return replace(request_of(state, wish), free_cash=state.books.portfolios[state.portfolio_id].cash)

    monkeypatch.setattr(risk_management, "request_of", wrong)


def forgets_the_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order of unknown outcome blocks nothing."""
    monkeypatch.setattr(History, "unknown_before", lambda history, **_: 0)


def looks_at_no_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper batch fills what a halt covers."""
    monkeypatch.setattr(paper_sorting, "objection_to", lambda trade, halts, **_: None)


def limits_reductions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sell is held up by limits as a buy is."""
    monkeypatch.setattr(RiskRequest, "reduces", property(lambda request: False))


def checks_the_batch_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next order of a batch does not see the one before it."""
    monkeypatch.setattr(History, "ordered", lambda history, order, open_order: None)


def fills_half(m: TradingMachine) -> None:
    m.buy(0, "AAA", 10, "alice", "broker")
    m.the_broker_fills(pick=0, part=50, bps=0, times=1)


def spends_to_the_last_cent(m: TradingMachine) -> None:
    m.buy(0, "AAA", 400, "alice", "")
    m.buy(0, "BBB", 400, "alice", "")
    m.buy(0, "CCC", "one too many", "alice", "")


def asks_again_while_nobody_knows(m: TradingMachine) -> None:
    m.buy(0, "AAA", 10, "alice", "broker")
    m.the_broker_fills(pick=0, part=50, bps=0, times=1)
    m.nobody_knows(pick=0)
    m.buy(0, "AAA", 11, "alice", "")


def executes_while_halted(m: TradingMachine) -> None:
    m.buy(0, "AAA", 10, "alice", "")
    m.alice_arms("platform", 0, "AAA", "halt", ("buy", "BBB", 1, "alice"), "")
    m.execute()


def sells_after_the_days_last_buy(m: TradingMachine) -> None:
    for units in (10, 11, 12):
        m.buy(0, "AAA", units, "alice", "paper")
    m.sell_what_is_held(0, 5, "alice", "")


def asks_for_the_same_twice(m: TradingMachine) -> None:
    m.ask_for_several(0, [("buy", "AAA", 10, "alice")] * 2, "")


# (the bug, the shortest way to it, the limits)
BUGS: tuple[tuple[Callable[[pytest.MonkeyPatch], None], Callable[[TradingMachine], None], Limits], ...] = (
    (gives_back_too_much, fills_half, FAR),
    (forgets_what_is_reserved, spends_to_the_last_cent, FAR),
    (forgets_the_unknown, asks_again_while_nobody_knows, FAR),
    (looks_at_no_halt, executes_while_halted, FAR),
    (limits_reductions, sells_after_the_days_last_buy, NEAR),
    (checks_the_batch_one_by_one, asks_for_the_same_twice, FAR),
)


def walk(scene: Scene, way: Callable[[TradingMachine], None], limits: Limits) -> None:
    """The same steps and the same checks as in a search, along one way."""
    machine = machine_on(scene)()
    try:
        machine.open({name: D(values[0]) for name, values in limits.items()}, ({}, {}))
        way(machine)
        machine.what_must_hold()
    finally:
        machine.teardown()


@pytest.mark.parametrize(("plant", "way", "limits"), BUGS)
def test_a_planted_bug_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None],
    way: Callable[[TradingMachine], None], limits: Limits,
) -> None:  # fmt: skip
    """A machine that cannot fail is a defect."""
    walk(scene, way, limits)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        walk(scene, way, limits)


def test_a_search_finds_a_planted_bug(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    gives_back_too_much(monkeypatch)
    with pytest.raises(AssertionError):
        run(scene, examples=200, limits=FAR, phases=(Phase.generate,))
