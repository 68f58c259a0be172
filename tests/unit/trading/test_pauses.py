"""An account that fails is left alone for longer and longer, and for as long as it asks; one success ends that."""

import uuid
from datetime import timedelta

import pytest

from trading.services.doubt import backoff
from trading.services.held_brokers import Pauses

ALICE, BOB = uuid.uuid4(), uuid.uuid4()


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (50, 10)])
def test_a_pause_doubles_up_to_ten_seconds(failures: int, seconds: int) -> None:
    clock = [1_000.0]
    pauses = Pauses(clock=lambda: clock[0])
    for _ in range(failures):
        pauses.failed(ALICE)
    clock[0] += seconds - 0.001
    assert pauses.now() == [ALICE] and pauses.suspects(ALICE) and not pauses.suspects(BOB)
    clock[0] += 0.001
    assert pauses.now() == [] and pauses.suspects(ALICE), "it comes last until it has worked"
    pauses.worked(ALICE)
    assert not pauses.suspects(ALICE)
    pauses.failed(ALICE)
    clock[0] += 1
    assert pauses.now() == [], "counted anew"


@pytest.mark.parametrize(("asked", "seconds"), [(0.5, 1), (12, 12), (10_000, 30)])
def test_an_account_that_asks_to_be_left_alone_is(asked: float, seconds: float) -> None:
    clock = [0.0]
    pauses = Pauses(clock=lambda: clock[0])
    pauses.failed(ALICE, at_least=asked)
    clock[0] = seconds - 0.001
    assert pauses.now() == [ALICE]
    clock[0] = seconds
    assert pauses.now() == []


@pytest.mark.parametrize(
    ("tries", "retry_after", "seconds"),
    [
        (0, None, 0.5),
        (1, None, 1),
        (5, None, 16),
        (6, None, 30),
        (1_000, None, 30),
        (0, 45, 45),
        (0, 9_999, 300),
    ],
)
def test_questions_back_off_and_respect_the_brokers_word(
    tries: int, retry_after: float | None, seconds: float
) -> None:
    assert backoff(tries, retry_after_seconds=retry_after) == timedelta(seconds=seconds)
