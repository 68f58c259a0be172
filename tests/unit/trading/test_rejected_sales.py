"""How long a rejected protective sale waits for its next try, and when people hear of that again."""

import pytest

from trading.core.rejected_sales import Rejections


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (10_000, 300)],
)
def test_it_waits_twice_as_long_after_each_up_to_five_minutes(count: int, seconds: float) -> None:
    assert Rejections(count, seconds - 0.1).must_wait and not Rejections(count, seconds).must_wait


@pytest.mark.parametrize(
    ("sales", "found"),
    [
        ([], None),
        ([(True, 3), (True, 9), (True, 500)], Rejections(3, 3)),
        ([(False, 3), (True, 9)], None),  # the last one works, or was filled
        ([(True, 3), (False, 9), (True, 15)], Rejections(1, 3)),
        ([(True, 600), (True, 610)], None),  # nothing was tried for so long: it begins anew
        ([(True, 3), (True, 603)], Rejections(1, 3)),
    ],
)
def test_what_counts_are_those_in_a_row(sales: list[tuple[bool, float]], found: Rejections | None) -> None:
    assert Rejections.in_a_row(sales) == found


def test_it_is_told_of_ever_more_rarely() -> None:
    assert [count for count in range(1, 289) if Rejections(count, 0).tells_again] == [6, 17, 77, 149, 221]
