"""A frozen dataclass that is made quickly is a frozen dataclass still."""

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from foundation.core.quick import quick_init


@quick_init
@dataclass(frozen=True)
class Point:
    x: int
    y: int = 2


def test_it_has_what_it_was_given_and_the_defaults() -> None:
    assert (Point(x=1).x, Point(x=1).y) == (1, 2)
    assert Point(x=1) == Point(x=1, y=2) != Point(x=1, y=3)
    assert replace(Point(x=1), y=5) == Point(x=1, y=5)
    assert hash(Point(x=1)) == hash(Point(x=1, y=2))


@pytest.mark.parametrize("given", [{}, {"y": 1}, {"x": 1, "z": 1}, {"y": 1, "z": 2}])
def test_a_name_that_is_missing_or_unknown_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point: missing or unknown: "):
        Point(**given)


def test_nothing_of_it_can_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Point(x=1).x = 3  # type: ignore[misc]
