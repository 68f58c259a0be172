"""Where much triggers at once a slot is decided in parts: each commits for itself, none is left out or asked twice."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from portfolios.services.portfolios import deposit
from sessions.core.parts import NOBODY
from sessions.models import EvaluationRun, EvaluationSlice
from sessions.past import evaluation_of
from tests.harness.trading import Desk, Market
from trading.services import auto_trading
from trading.services.auto_trading import FailedSlice, evaluate_next_slice
from trading.services.why_not import Question, why_not

pytestmark = pytest.mark.integration


@pytest.fixture
def desks(market: Market, monkeypatch: pytest.MonkeyPatch) -> list[Desk]:
    """Five portfolios in one slice, by their ids; two of them at most are decided at once."""
    monkeypatch.setattr(auto_trading, "PART_HITS_MAX", 2)
    market.tick()
    return sorted([Desk.open(market) for _ in range(5)], key=lambda desk: desk.portfolio.id)


def evaluated() -> EvaluationRun | None:
    run = evaluate_next_slice()
    assert not isinstance(run, FailedSlice), run
    return run


def who_bought(desks: list[Desk]) -> list[int]:
    return [number for number, desk in enumerate(desks) if desk.trades()]


def test_every_session_is_decided_in_the_slot_in_parts(market: Market, desks: list[Desk]) -> None:
    market.advise("AAA")
    slot = market.tick()
    bought = []
    while (run := evaluated()) is not None:
        assert run.slot == slot
        bought.append(who_bought(desks))
    assert bought == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    runs = list(EvaluationRun.objects.filter(slot=slot).order_by("id"))
    ids = [desk.portfolio.id for desk in desks]
    assert [(run.decided_after, run.decided_through) for run in runs] == [
        (NOBODY, ids[1]), (ids[1], ids[3]), (ids[3], NOBODY),
    ]  # fmt: skip
    assert [run.sessions for run in runs] == [2, 2, 1] and [run.triggered for run in runs] == [2, 2, 1]
    (row,) = EvaluationSlice.objects.all()
    assert (row.evaluated_slot, row.begun_slot, row.decided_through) == (slot, 0, NOBODY)


def test_a_newer_snapshot_goes_on_where_the_old_one_was_left(market: Market, desks: list[Desk]) -> None:
    """So nobody at the end waits for ever in a market that moves faster than it can be decided on."""
    market.advise("AAA")
    first = market.tick()
    evaluated()
    second = market.tick()
    while evaluated() is not None:
        pass
    slots = {
        number: [trade.slot for trade in desk.trades()] for number, desk in enumerate(desks) if desk.trades()
    }
    assert slots[0][0] == slots[1][0] == first
    assert slots[2] == slots[3] == slots[4] == [second]
    after = EvaluationRun.objects.filter(slot=second).order_by("id").values_list("decided_after", flat=True)
    assert after[0] == desks[1].portfolio.id


def test_what_is_decided_stays_when_the_next_part_fails(
    market: Market, desks: list[Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    market.advise("AAA")
    market.tick()
    evaluated()
    with monkeypatch.context() as broken:
        broken.setattr(auto_trading, "record_run", None)
        assert isinstance(evaluate_next_slice(), FailedSlice)
    assert who_bought(desks) == [0, 1]
    EvaluationSlice.objects.update(due_at=market.as_of)  # its pause is over
    while evaluated() is not None:
        pass
    assert who_bought(desks) == [0, 1, 2, 3, 4]
    assert max(Counter((t.session_id, t.slot) for desk in desks for t in desk.trades()).values()) == 1


def test_one_who_alone_has_more_is_decided_at_once(
    market: Market, desks: list[Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_trading, "PART_HITS_MAX", 1)
    for symbol in ("AAA", "BBB", "CCC"):
        market.advise(symbol)
    market.tick()
    runs: list[Any] = []
    while (run := evaluated()) is not None:
        runs.append(run)
    assert [run.triggered for run in runs] == [3] * 5


def test_who_asks_why_is_told_by_the_part_that_looked_at_him(market: Market, desks: list[Desk]) -> None:
    market.advise("AAA")
    slot = market.tick()
    evaluated()
    late = desks[4]
    deposit(portfolio_id=late.portfolio.id, amount=Decimal(50_000), actor=late.owner)
    while evaluated() is not None:
        pass
    runs = list(EvaluationRun.objects.filter(slot=slot).order_by("id"))
    for desk, run in zip(desks, [runs[0], runs[0], runs[1], runs[1], runs[2]], strict=True):
        found = evaluation_of(desk.portfolio.id, slot=slot)
        assert found is not None and found.moment is not None
        assert (found.session_id, found.moment.at) == (desk.session.id, run.facts_at)
    rule = late.portfolio.trading_rules.get(rule_type="entry")
    answer = why_not(Question(portfolio=late.portfolio, slot=slot, symbol="AAA", rule=rule))
    assert answer.facts["portfolio_equity"] == 150_000
