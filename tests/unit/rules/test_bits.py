"""Rank rows are the dense comparison, for every threshold and factor, down to the last floating-point step."""

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rules.core.bits import FACTOR_MAX, FACTOR_MIN, flip_points, packed, rank_rows, ranks, words_for

FACTS = st.one_of(
    st.sampled_from((0.0, -0.0, 1.0, -1.0, 0.1, 3.0, 1e-300, 1e308, 5e-324, float("nan"))),
    st.floats(-1e9, 1e9, allow_subnormal=False),
)
FACTORS = st.sampled_from((1.0, 1.02, 0.98, -0.5, 1e-6, -1e6, 1 / 3)) | st.floats(0.5, 2.0)


COLUMNS = st.lists(FACTS, max_size=130).map(np.array)


def unpacked(row, size):
    return np.unpackbits(row.view(np.uint8), bitorder="little")[:size].astype(bool)


@given(st.lists(st.booleans(), max_size=200))
def test_a_row_has_a_bit_for_each_symbol_and_none_beyond(flags):
    row = packed(np.array(flags, dtype=bool))
    assert len(row) == words_for(len(flags))
    assert unpacked(row, len(flags)).tolist() == flags
    assert int(np.bitwise_count(row).sum()) == sum(flags)


@given(column=COLUMNS, numbers=st.lists(FACTS.filter(lambda fact: fact == fact), min_size=1, max_size=20))
def test_the_row_at_the_rank_of_a_threshold_is_the_comparison_with_it(column, numbers):
    column = column.astype(np.float64)
    ordered, rows = rank_rows(column[None])
    known = ordered[0][~np.isnan(ordered[0])]
    thresholds = np.sort(numbers)
    for passed_when_equal, below in ((True, np.less_equal), (False, np.less)):
        places = ranks(known, thresholds, passed_when_equal=passed_when_equal)
        for place, threshold in zip(places, thresholds, strict=True):
            assert (unpacked(rows[0, place], len(column)) == below(column, threshold)).all()


@given(
    points=st.lists(st.sampled_from((0.0, 1.0, 2.0, 3.0)), max_size=6).map(sorted),
    numbers=st.lists(st.sampled_from((-1.0, 0.0, 0.5, 1.0, 2.0, 9.0)), max_size=40).map(sorted),
    passed_when_equal=st.booleans(),
)
def test_ranks_are_the_same_whichever_side_is_looked_up(points, numbers, passed_when_equal):
    told = ranks(np.array(points), np.array(numbers), passed_when_equal=passed_when_equal)
    side = "right" if passed_when_equal else "left"
    assert told.tolist() == np.searchsorted(np.array(points), np.array(numbers), side).tolist()


@settings(max_examples=500)
@given(
    pairs=st.lists(st.tuples(FACTS, FACTS), min_size=1, max_size=30),
    factor=FACTORS,
    ties=st.lists(st.integers(-1, 1), max_size=30),
)
@example(pairs=[(1.0, 3.0), (0.0, 0.0), (-2.0, -1.0)], factor=1 / 3, ties=[0, 0, 0])
def test_flip_points_tell_a_fact_against_another_times_a_number(pairs, factor, ties):
    left, right = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True))
    with np.errstate(all="ignore"):
        for place, step in enumerate(
            ties[: len(left)]
        ):  # facts that meet the product exactly, or by one step
            left[place] = (
                np.nextafter(right[place] * factor, step * np.inf) if step else right[place] * factor
            )
    left[~np.isfinite(left)] = np.nan
    strict, loose, before, reliable = flip_points(left[None], right[None])
    assume(reliable[0])
    known = ~(np.isnan(left) | np.isnan(right))
    near = [
        point for point in np.concatenate((strict[0], loose[0])) if FACTOR_MIN <= abs(point) <= FACTOR_MAX
    ]
    with np.errstate(all="ignore"):
        for number in (factor, *near, *np.nextafter(near, np.inf), *np.nextafter(near, -np.inf)):
            if not FACTOR_MIN <= abs(number) <= FACTOR_MAX:
                continue
            product = right * number
            for points, compare in ((strict, np.greater), (loose, np.greater_equal)):
                told = before[0] ^ (points[0] <= number)
                assert (told & known == compare(left, product) & known).all()


def test_facts_too_large_or_small_for_even_steps_are_not_relied_on():
    sound, tiny, huge = np.array([[2.0, 3.0]]), np.array([[5e-324, 1.0]]), np.array([[1e308, 1.0]])
    assert flip_points(sound, sound)[3].tolist() == [True]
    for odd in (tiny, huge):
        assert flip_points(odd, sound)[3].tolist() == [False]
        assert flip_points(sound, odd)[3].tolist() == [False]
