"""What the emergency stop's benchmark counts as late: a checker that cannot fail would prove nothing."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.halt.checker import Movement, Stop, came_late, moved_within

DRAINED = datetime(2026, 1, 5, 12, tzinfo=UTC)
RELEASED = DRAINED + timedelta(milliseconds=80)
TICK = timedelta(microseconds=1)
# Fixed, for they name test cases, which every process must collect alike.
PORTFOLIO, OTHER, TRADE = (uuid.UUID(int=number) for number in (1, 2, 3))
SCOPES = [("platform", ""), ("portfolio", str(PORTFOLIO)), ("symbol", "AAA")]


def late(*movements: Movement, scope: str = "platform", scope_id: str = "") -> set[uuid.UUID]:
    (found,) = moved_within([Stop(scope, scope_id, DRAINED, RELEASED)], movements)
    return found


def fill(at: datetime, *, portfolio: uuid.UUID = PORTFOLIO, symbol: str = "AAA") -> Movement:
    return Movement(TRADE, portfolio, symbol, at)


@pytest.mark.parametrize(("scope", "scope_id"), SCOPES)
def test_a_fabricated_late_fill_is_counted_in_every_scope(scope: str, scope_id: str) -> None:
    assert late(fill(DRAINED + TICK), scope=scope, scope_id=scope_id) == {TRADE}


@pytest.mark.parametrize(
    ("at", "counted"),
    [
        (DRAINED - TICK, False),
        (DRAINED, True),
        (RELEASED, True),
        (RELEASED + TICK, False),
    ],
)
def test_late_is_from_drained_to_released(at: datetime, counted: bool) -> None:
    assert bool(late(fill(at))) == counted


@pytest.mark.parametrize(("scope", "scope_id"), SCOPES[1:])
def test_what_is_traded_elsewhere_is_not_late(scope: str, scope_id: str) -> None:
    elsewhere = fill(DRAINED + TICK, portfolio=OTHER, symbol="BBB")
    assert late(elsewhere, scope=scope, scope_id=scope_id) == set()


def test_each_stop_is_told_its_own() -> None:
    second = Stop("platform", "", RELEASED + TICK, RELEASED + 2 * TICK)
    found = moved_within([Stop("platform", "", DRAINED, RELEASED), second], [fill(RELEASED + TICK)])
    assert found == [set(), {TRADE}]


def test_what_only_the_second_look_sees_came_late() -> None:
    assert came_late({PORTFOLIO}, {PORTFOLIO, TRADE}) == {TRADE}
    assert came_late({TRADE}, {TRADE}) == set()
