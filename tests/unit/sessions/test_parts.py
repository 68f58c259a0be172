"""A slot in parts: each portfolio once in a slot, and each has its turn, however fast the market is."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from sessions.core.parts import NOBODY, Arc, arc_to_decide

PORTFOLIOS = [uuid.UUID(int=number) for number in range(1, 9)]
portfolios = st.sampled_from(PORTFOLIOS)
hits = st.lists(portfolios, max_size=40)


def test_from_a_portfolio_to_itself_is_all_of_the_circle() -> None:
    for begin in (NOBODY, *PORTFOLIOS):
        assert all(key in Arc(begin, begin) for key in PORTFOLIOS)


def test_over_the_end_of_the_circle_it_begins_anew() -> None:
    arc = Arc(PORTFOLIOS[5], PORTFOLIOS[1])
    assert [key in arc for key in PORTFOLIOS] == [True, True, False, False, False, False, True, True]


@given(portfolios, portfolios, hits, st.integers(1, 20))
def test_a_part_is_a_beginning_with_whole_portfolios_and_no_more_than_it_may(
    after: uuid.UUID, through: uuid.UUID, triggered: list[uuid.UUID], count_max: int
) -> None:
    whole = Arc(after, through)
    part = whole.first(triggered, count_max=count_max)
    decided = [key for key in triggered if key in part]
    left = [key for key in triggered if key in whole and key not in part]
    assert all(key in whole for key in decided)
    assert len(decided) <= count_max or len(set(decided)) == 1
    assert part == whole or left, "where there is nothing left it is all of it"
    rest = Arc(part.through, through)
    assert part == whole or sorted(left) == sorted(key for key in triggered if key in rest)


@given(st.lists(st.tuples(hits, st.booleans()), min_size=1, max_size=40), st.integers(1, 6))
def test_parts_follow_each_other_through_slots(
    ticks: list[tuple[list[uuid.UUID], bool]], count_max: int
) -> None:
    """As the row of a slice goes on, with or without a new snapshot between two parts."""
    slot, begun_slot, begun_after, decided_through = 1, 0, NOBODY, NOBODY
    decided: list[tuple[int, uuid.UUID]] = []
    waits = dict.fromkeys(PORTFOLIOS, 0)
    for triggered, is_new in ticks:
        slot += is_new
        left = arc_to_decide(
            slot=slot, begun_slot=begun_slot, begun_after=begun_after, decided_through=decided_through
        )
        part = left.first(triggered, count_max=count_max)
        for key in PORTFOLIOS:
            waits[key] = 0 if key in part else waits[key] + 1
            if key in part:
                decided.append((slot, key))
        assert max(waits.values()) <= len(PORTFOLIOS), "everybody has his turn"
        if part == left:
            begun_slot, begun_after, decided_through = 0, NOBODY, NOBODY
            slot += 1  # the slice waits for the next snapshot
        else:
            begun_slot, begun_after, decided_through = slot, left.through, part.through
    assert len(decided) == len(set(decided)), "none twice in one slot"
