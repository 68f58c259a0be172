"""Every combination of our state, the broker's state and a fill has one answer, and it is a legal one."""

from decimal import Decimal
from itertools import pairwise, product

import pytest

from trading.core.order_reports import NOT_KNOWN_THERE, TOLD, Ours, Settlement, Told, settle
from trading.core.order_states import DOUBTFUL, FINAL, MOVES, WORKING, OrderState, check_path

D = Decimal
S = OrderState
QUANTITY = D(10)
FILLS = (D(0), D(4), D(10))


def can_be(state: OrderState, filled: Decimal) -> bool:
    """What the database lets a trade be."""
    if state == S.FILLED:
        return filled == QUANTITY
    if state in (S.PENDING, S.SUBMITTING, S.ACCEPTED):
        return filled == 0
    return filled < QUANTITY and (filled > 0 or state != S.PARTIALLY_FILLED)


OURS = [
    Ours(state, QUANTITY, filled, wishes_cancel=wish, known_there=known)
    for state, filled, wish, known in product(S, FILLS, (False, True), (False, True))
    if can_be(state, filled)
]
REPORTS = [
    Told(state, filled, fill)
    for state, filled, fill in product(S, (*FILLS, D(6), D(11)), (D(0), D(1), D(4), D(6), D(10)))
]
ALL = list(product(OURS, REPORTS))


@pytest.mark.parametrize("ours", OURS, ids=str)
def test_every_report_is_settled_along_the_table(ours: Ours) -> None:
    for told in REPORTS:
        done = settle(ours, told)
        after = ours.filled + told.fill
        assert done.path[0] == ours.state
        assert check_path(*done.path) == done.path[-1]
        if done.contradiction:
            assert done.path == (ours.state,) and not done.books_fill and not done.cancels, told
            continue
        assert done.books_fill == (told.fill > 0), "a fill is never lost"
        assert (done.path[-1] == S.FILLED) == (after == QUANTITY)
        assert done.misses_fills == (told.filled > after)
        assert can_be(done.path[-1], after), (ours, told, done)


# By the services themselves, whatever a broker has told: who makes it.
OWN_MOVES = {
    (S.PENDING, S.SUBMITTING): "sending.claim_for_sending, and the paper batch",
    (S.PENDING, S.CANCELLED): "order_management.request_cancels",
    (S.PENDING, S.EXPIRED): "objections.hindrance_to",
    (S.PENDING, S.REJECTED): "the paper batch, where nobody can pay for it",
    (S.SUBMITTING, S.PENDING): "sending._record_unsent",
    (S.SUBMITTING, S.UNKNOWN): "doubt.become_unknown",
    (S.CANCELLING, S.UNKNOWN): "doubt.become_unknown",
    (S.UNKNOWN, S.SUBMITTING): "recovery._not_found",
    (S.UNKNOWN, S.QUARANTINED): "doubt.become_quarantined",
}


def test_every_move_of_the_table_is_made_by_somebody() -> None:
    """A move that nobody makes would permit what nobody has thought of."""
    told = {hop for ours, report in ALL for hop in pairwise(settle(ours, report).path)}
    assert told | OWN_MOVES.keys() == {(old, new) for old, moves in MOVES.items() for new in moves}


def test_nothing_is_over_while_the_broker_counts_more_than_is_booked() -> None:
    for ours, told in ALL:
        done = settle(ours, told)
        if done.misses_fills and ours.state not in FINAL:
            assert done.path[-1] not in FINAL, (ours, told)


def test_a_final_state_is_left_for_a_fill_or_for_what_turned_up_only() -> None:
    for ours, told in ALL:
        done = settle(ours, told)
        if ours.state in FINAL and len(done.path) > 1:
            assert told.fill > 0 or (done.turned_up and not ours.known_there), (ours, told, done)
            assert done.path[-1] in FINAL | {S.CANCELLING}
        assert not done.turned_up or done.path[-1] == S.CANCELLING
        if ours.state == S.FILLED:
            assert done.path == (S.FILLED,)


def test_what_the_broker_has_is_not_left_as_if_we_did_not_know_but_for_fills_that_are_not_told() -> None:
    for ours, told in ALL:
        done = settle(ours, told)
        if not done.contradiction:
            waits = ours.state in DOUBTFUL and told.state in FINAL and done.misses_fills
            assert (done.path[-1] in NOT_KNOWN_THERE) == waits, (ours, told, done)
            assert not waits or done.path[-1] in DOUBTFUL


def test_a_wish_to_cancel_is_carried_out_as_soon_as_the_order_works() -> None:
    for ours, told in ALL:
        done = settle(ours, told)
        if ours.wishes_cancel and not done.contradiction and told.state in TOLD - FINAL:
            assert done.path[-1] not in WORKING, (ours, told, done)


def ours(state: OrderState, filled: int = 0, **more: bool) -> Ours:
    return Ours(state, QUANTITY, D(filled), **more)


def told(state: OrderState, filled: int = 0, fill: int = 0) -> Told:
    return Told(state, D(filled), D(fill))


@pytest.mark.parametrize(
    ("before", "report", "path"),
    [
        # the ordinary life
        (ours(S.SUBMITTING), told(S.ACCEPTED), (S.SUBMITTING, S.ACCEPTED)),
        (ours(S.ACCEPTED), told(S.PARTIALLY_FILLED, 4, 4), (S.ACCEPTED, S.PARTIALLY_FILLED)),
        (ours(S.PARTIALLY_FILLED, 4), told(S.PARTIALLY_FILLED, 6, 1), (S.PARTIALLY_FILLED,)),
        (ours(S.PARTIALLY_FILLED, 4), told(S.FILLED, 10, 6), (S.PARTIALLY_FILLED, S.FILLED)),
        # a fill before the acknowledgement, and the acknowledgement after it
        (ours(S.SUBMITTING), told(S.FILLED, 10, 10), (S.SUBMITTING, S.FILLED)),
        (ours(S.PARTIALLY_FILLED, 4), told(S.ACCEPTED), (S.PARTIALLY_FILLED,)),
        (ours(S.FILLED, 10), told(S.ACCEPTED), (S.FILLED,)),
        # a summary alone books nothing and ends nothing
        (ours(S.SUBMITTING), told(S.FILLED, 10), (S.SUBMITTING, S.ACCEPTED)),
        (ours(S.PARTIALLY_FILLED, 4), told(S.FILLED, 10), (S.PARTIALLY_FILLED,)),
        (ours(S.ACCEPTED), told(S.CANCELLED, 4), (S.ACCEPTED,)),
        (ours(S.ACCEPTED), told(S.CANCELLED, 4, 4), (S.ACCEPTED, S.PARTIALLY_FILLED, S.CANCELLED)),
        # cancels and their races
        (ours(S.CANCELLING), told(S.ACCEPTED), (S.CANCELLING,)),
        (ours(S.CANCELLING), told(S.CANCELLED), (S.CANCELLING, S.CANCELLED)),
        (ours(S.CANCELLING, 4), told(S.CANCELLED, 4), (S.CANCELLING, S.CANCELLED)),
        (ours(S.CANCELLING), told(S.FILLED, 10, 10), (S.CANCELLING, S.FILLED)),
        (ours(S.CANCELLING), told(S.FILLED, 10), (S.CANCELLING,)),
        (ours(S.CANCELLED, known_there=True), told(S.FILLED, 10, 10), (S.CANCELLED, S.FILLED)),
        (
            ours(S.CANCELLED, known_there=True),
            told(S.CANCELLED, 4, 4),
            (S.CANCELLED, S.PARTIALLY_FILLED, S.CANCELLED),
        ),
        # unknown, found at last; with a wish that has waited for it
        (ours(S.UNKNOWN), told(S.ACCEPTED), (S.UNKNOWN, S.ACCEPTED)),
        (ours(S.UNKNOWN, wishes_cancel=True), told(S.ACCEPTED), (S.UNKNOWN, S.ACCEPTED, S.CANCELLING)),
        (ours(S.QUARANTINED), told(S.REJECTED), (S.QUARANTINED, S.REJECTED)),
        # in doubt, and over as the broker says: until all of its fills are told
        (ours(S.UNKNOWN), told(S.FILLED, 10), (S.UNKNOWN,)),
        (ours(S.UNKNOWN), told(S.FILLED, 10, 4), (S.UNKNOWN, S.PARTIALLY_FILLED, S.UNKNOWN)),
        (ours(S.QUARANTINED), told(S.CANCELLED, 6, 4), (S.QUARANTINED, S.PARTIALLY_FILLED, S.UNKNOWN)),
        (ours(S.UNKNOWN, 4), told(S.FILLED, 10, 6), (S.UNKNOWN, S.FILLED)),
        # given up, and it works; the broker's own end and an old word
        (ours(S.EXPIRED), told(S.ACCEPTED), (S.EXPIRED, S.CANCELLING)),
        (ours(S.REJECTED), told(S.PARTIALLY_FILLED, 4, 4), (S.REJECTED, S.PARTIALLY_FILLED, S.CANCELLING)),
        (ours(S.CANCELLED, known_there=True), told(S.ACCEPTED), (S.CANCELLED,)),
    ],
)
def test_what_becomes_of_it(before: Ours, report: Told, path: tuple[OrderState, ...]) -> None:
    assert settle(before, report).path == path


@pytest.mark.parametrize(
    ("before", "report", "reason"),
    [
        (ours(S.PARTIALLY_FILLED, 4), told(S.FILLED, 10, 7), "11 is filled of an order of 10"),
        (ours(S.ACCEPTED), told(S.PARTIALLY_FILLED, 11), "11 is filled of an order of 10"),
        (ours(S.PARTIALLY_FILLED, 4), told(S.REJECTED), "it is rejected, and has fills"),
        (ours(S.ACCEPTED), told(S.FILLED, 9), "it is filled with 9 of 10"),
        (ours(S.ACCEPTED), told(S.UNKNOWN), "a broker does not know the state unknown"),
        (ours(S.ACCEPTED), told(S.ACCEPTED, -1), "a filled quantity is negative"),
    ],
)
def test_what_cannot_be_changes_nothing(before: Ours, report: Told, reason: str) -> None:
    assert settle(before, report) == Settlement((before.state,), contradiction=reason)
