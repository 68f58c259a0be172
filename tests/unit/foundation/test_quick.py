"""A frozen dataclass that is made quickly is a frozen dataclass still."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

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
    with pytest.raises(TypeError, match=r"Point.__init__\(\) (missing|got an unexpected)"):
        Point(**given)


@quick_init
@dataclass(frozen=True)
class Span:
    first: int
    last: int = field(default=9, kw_only=True)
    unit: str = "m"

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("a span ends after it begins")


def test_it_is_called_as_the_dataclass_would_be_and_looks_at_itself() -> None:
    assert Span(1, "km", last=3) == Span(first=1, unit="km", last=3)
    assert Span(1).last == 9
    with pytest.raises(TypeError, match="positional"):
        Span(1, "km", 3)  # type: ignore[misc]
    with pytest.raises(ValueError, match="ends after"):
        Span(10)


def test_nothing_of_it_can_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Point(x=1).x = 3  # type: ignore[misc]
