"""A session by the clock is looked at first when it starts, whenever the turn of others of its cadence comes."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from foundation.clock import database_now
from sessions.models import EvaluationRun, EvaluationSlice
from sessions.services.slices import JOIN_SECONDS, claim_due_slice, slice_with_room
from tests.harness.trading import Desk, Market
from trading.services.auto_trading import evaluate_next_slice

pytestmark = pytest.mark.integration
HOUR = 3600
HOURLY = {"evaluation": {"every_seconds": HOUR}}


@pytest.fixture
def alice(market: Market) -> Desk:
    """Her session goes by the clock and has just been looked at: its next turn is in an hour."""
    market.tick()
    desk = Desk.open(market, config=HOURLY)
    assert evaluate_next_slice() is not None
    return desk


def slice_of(desk: Desk) -> EvaluationSlice:
    return EvaluationSlice.objects.get(pk=desk.session.slice_id)


def let_its_turn_be_in(desk: Desk, *, seconds: float) -> None:
    at = database_now() + timedelta(seconds=seconds)
    EvaluationSlice.objects.filter(pk=desk.session.slice_id).update(due_at=at)


def slice_in_another_thread() -> int:
    """Where one that starts now would come, on a connection of its own; it must not have to wait for this one."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(slice_with_room(every_seconds=HOUR))
        except Exception as error:
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return int(answers[0])


def test_who_starts_is_looked_at_at_once_and_the_others_at_their_turn(alice: Desk, market: Market) -> None:
    her_turn = slice_of(alice).due_at
    bob = Desk.open(market, owner="bob", config=HOURLY)
    market.advise("AAA")
    market.tick()
    run = evaluate_next_slice()
    assert isinstance(run, EvaluationRun) and run.slice_id == bob.session.slice_id
    assert [trade.symbol for trade in bob.trades()] == ["AAA"] and alice.trades() == []
    assert evaluate_next_slice() is None and slice_of(alice).due_at == her_turn


def test_those_whose_turn_is_the_same_share_a_slice(alice: Desk, market: Market) -> None:
    let_its_turn_be_in(alice, seconds=JOIN_SECONDS - 2)
    bob = Desk.open(market, owner="bob", config=HOURLY)
    assert bob.session.slice_id == alice.session.slice_id
    let_its_turn_be_in(alice, seconds=JOIN_SECONDS + 20)
    carol = Desk.open(market, owner="carol", config=HOURLY)
    dan = Desk.open(market, owner="dan", config=HOURLY)
    assert carol.session.slice_id == dan.session.slice_id != alice.session.slice_id


def test_a_slice_that_is_being_evaluated_is_joined_by_nobody(alice: Desk, market: Market) -> None:
    """Who came into it then would be looked at a cadence later."""
    let_its_turn_be_in(alice, seconds=0)
    version = market.tick()
    with transaction.atomic():
        claimed = claim_due_slice(version=version)
        assert claimed is not None and claimed.pk == alice.session.slice_id
        assert slice_in_another_thread() != claimed.pk


def test_nor_is_one_of_whose_slot_a_part_is_decided(alice: Desk, market: Market) -> None:
    let_its_turn_be_in(alice, seconds=0)
    EvaluationSlice.objects.filter(pk=alice.session.slice_id).update(begun_slot=market.tick())
    assert slice_with_room(every_seconds=HOUR) != alice.session.slice_id


def test_one_that_somebody_joins_is_evaluated_with_him_in_it(alice: Desk, market: Market) -> None:
    let_its_turn_be_in(alice, seconds=0)
    version = market.tick()
    with transaction.atomic():
        assert slice_with_room(every_seconds=HOUR) == alice.session.slice_id
        claimed: list[Any] = []

        def claim() -> None:
            with transaction.atomic():
                claimed.append(claim_due_slice(version=version))
            connections.close_all()

        thread = threading.Thread(target=claim)
        thread.start()
        thread.join(30)
        assert claimed == [None]
    with transaction.atomic():
        found = claim_due_slice(version=version)
        assert found is not None and found.pk == alice.session.slice_id
