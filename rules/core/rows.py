"""The rows of literals: planned once for a segment, made anew for every market.

A family of literals (one fact by one operator, or two facts) that has many numbers is
looked up in rank rows; one with few is compared number by number.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rules.core.bits import (
    FACTOR_MAX,
    FACTOR_MIN,
    Bits,
    Flags,
    Places,
    flip_points,
    packed,
    rank_rows,
    ranks,
    words_for,
)
from rules.core.codes import NO_COLUMN, Test, decoded
from rules.core.facts import Vector

# With fewer numbers than this, comparing them one by one is less work than making rank rows.
RANKED_MIN = 12
DENSE_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a fact, or two, flip: by the left column alone, or by left > right * t (strict) or >= (loose)."""

    left: int
    right: int
    strict: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """Literals start … stop, sorted by number: their rows are in a table, `table`, of an axis."""

    start: int
    stop: int
    table: int
    passed_when_equal: bool
    test: Test


@dataclass(frozen=True, slots=True)
class Dense:
    """Literals that are compared one by one, sorted by test; slices[t] of them have test t."""

    literals: Places
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    numbers: Vector
    slices: tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How the rows of the literals are made.

    columns: the columns that are read, as places in normal_form.COLUMNS. tables:
    (axis, whether it is the complement: true where the axis' own test is known and
    untrue). Columns in Axis and Dense are places in `columns`; right -1 for none.
    """

    size: int
    numbers: Vector
    columns: tuple[int, ...]
    axes: tuple[Axis, ...]
    tables: tuple[tuple[int, bool], ...]
    ranked: tuple[Ranked, ...]
    dense: Dense


class _Planner:
    def __init__(self) -> None:
        self.columns: dict[int, int] = {}
        self.axes: dict[Axis, int] = {}
        self.tables: dict[tuple[int, bool], int] = {}

    def column(self, column: int) -> int:
        return -1 if column == NO_COLUMN else self.columns.setdefault(column, len(self.columns))

    def table(self, axis: Axis, complement: bool) -> int:
        place = self.axes.setdefault(axis, len(self.axes))
        return self.tables.setdefault((place, complement), len(self.tables))

    def ranked(self, start: int, stop: int, test: Test, left: int, right: int) -> Ranked:
        """A literal is a row of the axis, after as many flips as its number has passed.

        On the axis of one fact v (true before: v > t) `v > t` has passed v = t, `v >= t`
        has not; on an axis of two the point itself says from which number on.
        """
        complement = test in (Test.LESS, Test.LESS_OR_EQUAL)
        if right < 0:
            table = self.table(Axis(left, right, True), complement)
            return Ranked(start, stop, table, test in (Test.GREATER, Test.LESS_OR_EQUAL), test)
        strict = test in (Test.GREATER, Test.LESS_OR_EQUAL)
        return Ranked(start, stop, self.table(Axis(left, right, strict), complement), True, test)


def plan_rows(codes: NDArray[np.int64], numbers: Vector) -> RowPlan:
    """codes: int64[L] and numbers: float64[L] of the literals, sorted by code, then number."""
    planner = _Planner()
    families, starts = np.unique(codes, return_index=True)
    stops = [*starts.tolist(), len(codes)][1:]
    ranked: list[Ranked] = []
    dense: list[tuple[Test, int, int, int, int]] = []
    for code, start, stop in zip(families.tolist(), starts.tolist(), stops, strict=True):
        test, left, right = decoded(code)
        left, right = planner.column(left), planner.column(right)
        if stop - start < RANKED_MIN or _is_dense(test, right, numbers[start:stop]):
            dense.append((Test(test), left, right, start, stop))
        else:
            ranked.append(planner.ranked(start, stop, Test(test), left, right))
    return RowPlan(
        size=len(codes),
        numbers=numbers,
        columns=tuple(planner.columns),
        axes=tuple(planner.axes),
        tables=tuple(planner.tables),
        ranked=tuple(ranked),
        dense=_dense(dense, numbers),
    )


def _is_dense(test: int, right: int, numbers: Vector) -> bool:
    """What rank rows do not answer: equality, and factors outside those of flip_points."""
    size = np.abs(numbers)
    return test >= Test.EQUAL or (right >= 0 and bool(size.min() < FACTOR_MIN or size.max() > FACTOR_MAX))


def _dense(families: list[tuple[Test, int, int, int, int]], numbers: Vector) -> Dense:
    families.sort()
    places = [np.arange(start, stop) for _, _, _, start, stop in families]
    literals = np.concatenate([*places, np.empty(0, dtype=np.intp)]).astype(np.intp)
    sizes = [stop - start for _, _, _, start, stop in families]
    tests = np.repeat([family[0] for family in families], sizes)
    edges = np.searchsorted(tests, range(len(Test) + 1)).tolist()
    return Dense(
        literals=literals,
        left=np.repeat([family[1] for family in families], sizes).astype(np.int16),
        right=np.repeat([family[2] for family in families], sizes).astype(np.int16),
        numbers=numbers[literals],
        slices=tuple(slice(start, stop) for start, stop in pairwise(edges)),
    )


ZERO, ONES, FIRST = 0, 1, 2  # rows that are always there; then the tables, the dense literals, and the spare


def literal_rows(plan: RowPlan, facts: Vector, *, spare: int) -> tuple[Bits, Places, int]:
    """All rows of a market.

    facts: float64[C, n] in the order of `plan.columns`, NaN for unknown. Returns
    uint64[…, words] with `spare` free rows at the end, the row of each literal
    (intp[L]), and the first spare row.
    """
    size = facts.shape[1]
    height = size + 1
    ordered, flips, bases, broken = _axes(plan, facts)
    lost = [family for family in plan.ranked if broken[plan.tables[family.table][0]]]
    first_dense = FIRST + len(plan.tables) * height
    first_lost = first_dense + len(plan.dense.literals)
    first_spare = first_lost + sum(family.stop - family.start for family in lost)
    rows = np.empty((first_spare + spare, words_for(size)), dtype=np.uint64)
    rows[ZERO], rows[ONES] = 0, ~np.uint64(0)
    if plan.tables:
        axes = [axis for axis, _ in plan.tables]
        tables = rows[FIRST:first_dense].reshape(len(axes), height, -1)
        np.bitwise_xor(flips[_places(axes)], bases[:, None, :], out=tables)
    row_of = np.empty(plan.size, dtype=np.intp)
    row_of[plan.dense.literals] = np.arange(first_dense, first_lost)
    _compare_dense(plan.dense, facts, rows[first_dense:first_lost])
    for family in plan.ranked:
        axis = plan.tables[family.table][0]
        numbers = plan.numbers[family.start : family.stop]
        if broken[axis]:
            count = len(numbers)
            rows[first_lost : first_lost + count] = _compared(family, plan.axes[axis], numbers, facts)
            row_of[family.start : family.stop] = np.arange(first_lost, first_lost + count)
            first_lost += count
            continue
        passed = ranks(ordered[axis], numbers, passed_when_equal=family.passed_when_equal)
        np.add(passed, FIRST + family.table * height, out=row_of[family.start : family.stop])
    return rows, row_of, first_spare


def _axes(plan: RowPlan, facts: Vector) -> tuple[list[Vector], Bits, Bits, list[bool]]:
    """Flip points of each axis (sorted, known ones), flipped bits by rank, the base of each table, and which
    axes cannot be relied on."""
    left = facts[_places([axis.left for axis in plan.axes])]
    points = left.copy()
    before = ~np.isnan(left)
    known = before.copy()
    broken = np.zeros(len(plan.axes), dtype=np.bool_)
    double = [place for place, axis in enumerate(plan.axes) if axis.right >= 0]
    if double:
        right = facts[[plan.axes[place].right for place in double]]
        strict, loose, rising, reliable = flip_points(left[double], right)
        chosen = np.array([plan.axes[place].strict for place in double])
        points[double] = np.where(chosen[:, None], strict, loose)
        before[double] = rising
        known[double] &= ~np.isnan(right)
        broken[double] = ~reliable
    ordered, flips = rank_rows(points)
    counts = (~np.isnan(ordered)).sum(axis=1).tolist()
    base, known_bits = packed(before), packed(known)
    bases = np.stack(
        [base[axis] ^ known_bits[axis] if complement else base[axis] for axis, complement in plan.tables]
        or [np.zeros(flips.shape[2], dtype=np.uint64)]
    )
    return [row[:count] for row, count in zip(ordered, counts, strict=True)], flips, bases, broken.tolist()


def _places(places: list[int]) -> Places:
    return np.array(places, dtype=np.intp)


def _compare_dense(dense: Dense, facts: Vector, rows: Bits) -> None:
    for start in range(0, len(dense.literals), DENSE_BLOCK):
        stop = min(start + DENSE_BLOCK, len(dense.literals))
        left = facts[dense.left[start:stop]]
        numbers = dense.numbers[start:stop, None]
        double = np.flatnonzero(dense.right[start:stop] >= 0)
        right = np.broadcast_to(numbers, left.shape)
        if double.size:
            right = right.copy()
            right[double] = scaled(facts[dense.right[start:stop][double]], numbers[double])
        result = np.empty(left.shape, dtype=np.bool_)
        for test, part in enumerate(dense.slices):
            cut = slice(max(part.start - start, 0), max(min(part.stop, stop) - start, 0))
            result[cut] = tested(test, left[cut], right[cut])
        rows[start:stop] = packed(result)


def _compared(family: Ranked, axis: Axis, numbers: Vector, facts: Vector) -> Bits:
    parts = [
        packed(
            tested(
                family.test,
                facts[axis.left],
                scaled(facts[axis.right], numbers[start : start + DENSE_BLOCK, None]),
            )
        )
        for start in range(0, len(numbers), DENSE_BLOCK)
    ]
    return np.concatenate(parts)


def scaled(facts: Vector, factor: Vector) -> Vector:
    """Facts times numbers; what is beyond float64 is unknown."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        product = facts * factor
    product[np.isinf(product)] = np.nan
    return product


def tested(test: int, left: Vector, right: Vector) -> Flags:
    """Where the test is true; never where a side is NaN."""
    result: Flags
    match test:
        case Test.GREATER:
            result = left > right
        case Test.LESS_OR_EQUAL:
            result = left <= right
        case Test.GREATER_OR_EQUAL:
            result = left >= right
        case Test.LESS:
            result = left < right
        case Test.EQUAL:
            result = left == right
        case _:
            result = (left < right) | (left > right)
    return result
