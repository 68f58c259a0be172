"""The table of states: what may follow what, and nothing else."""

import pytest

from trading.core.order_states import FINAL, MOVES, OPEN, IllegalMove, OrderState, check_path


def test_every_state_has_its_row() -> None:
    assert MOVES.keys() == set(OrderState)
    assert set(OrderState) == FINAL | OPEN and not FINAL & OPEN


def test_a_filled_trade_never_moves_again() -> None:
    assert MOVES[OrderState.FILLED] == frozenset()


def test_a_final_state_moves_only_by_a_fill_or_because_the_order_works_all_the_same() -> None:
    for state in FINAL - {OrderState.FILLED}:
        assert MOVES[state] == {OrderState.PARTIALLY_FILLED, OrderState.FILLED, OrderState.CANCELLING}


def test_nothing_returns_to_pending_but_a_claim_that_sent_nothing() -> None:
    assert [state for state, moves in MOVES.items() if OrderState.PENDING in moves] == [OrderState.SUBMITTING]


def test_every_open_state_can_end() -> None:
    for state in OPEN:
        assert MOVES[state] & FINAL, state


def test_an_order_of_unknown_outcome_can_turn_out_to_be_anything_but_unsent() -> None:
    never = {OrderState.UNKNOWN, OrderState.PENDING, OrderState.CANCELLING}
    assert MOVES[OrderState.UNKNOWN] == set(OrderState) - never


def test_a_path_is_checked_hop_by_hop() -> None:
    assert check_path("pending", "submitting", "filled") is OrderState.FILLED
    with pytest.raises(IllegalMove, match="pending → filled"):
        check_path("pending", "filled")
    with pytest.raises(ValueError, match="sent"):
        check_path("pending", "sent")
