"""Numbering what the rules of a segment share: equal tests, groups and tops are found by sorting arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rules.core.codes import NO_COLUMN, TESTS
from rules.core.facts import Vector
from rules.core.normal_form import Forest
from rules.core.segment import Checks, Groups, Ints, OwnerTests


class Numbering:
    """Gives every test and group of a forest the number of its row: literals, inner tests, ones, groups."""

    def __init__(self, codes: NDArray[np.int64], numbers: Vector) -> None:
        self._codes, self._numbers = codes, numbers
        self._of_test = np.full(len(codes), -1, dtype=np.int32)
        self._of_group = np.empty(0, dtype=np.int32)
        self._next = 0
        self._ones = -1
        self.literal_codes = np.empty(0, dtype=np.int64)
        self.literal_numbers = np.empty(0, dtype=np.float64)

    def share(self, tests: NDArray[np.intp]) -> None:
        """Equal tests are one literal; literals are sorted by code, then number."""
        order = tests[np.lexsort((self._numbers[tests], self._codes[tests]))]
        codes, numbers = self._codes[order], self._numbers[order]
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (codes[1:] != codes[:-1]) | (numbers[1:] != numbers[:-1])
        self._of_test[order] = np.cumsum(new) - 1
        self.literal_codes, self.literal_numbers = codes[new], numbers[new]
        self._next = len(self.literal_codes)

    def take(self, tests: NDArray[np.intp]) -> None:
        """Each a row of its own."""
        self._of_test[tests] = np.arange(self._next, self._next + len(tests))
        self._next += len(tests)

    def take_ones(self, tests: NDArray[np.intp]) -> int:
        """One row for all of them."""
        self._ones = self._next
        self._of_test[tests] = self._ones
        self._next += 1
        return self._ones

    def of(self, items: NDArray[np.int64]) -> Ints:
        """The rows of items; groups must be numbered."""
        rows = np.empty(len(items), dtype=np.int32)
        tests = items >= 0
        rows[tests] = self._of_test[items[tests]]
        rows[~tests] = self._of_group[~items[~tests]]
        return rows

    def groups(self, forest: Forest) -> tuple[Groups, ...]:
        """Number the groups from the lowest up; equal groups are one row."""
        heights = np.array(forest.heights, dtype=np.int32)
        is_and = np.array(forest.is_and, dtype=np.bool_)
        starts = np.array(forest.starts, dtype=np.int64)
        children = np.array(forest.children, dtype=np.int64)
        self._of_group = np.full(len(heights), -1, dtype=np.int32)
        made: list[Groups] = []
        arities = np.diff(starts)
        keys = np.stack((heights, is_and, arities)) if len(heights) else np.empty((3, 0), dtype=np.int64)
        for height, conjoined, arity in np.unique(keys, axis=1).T.tolist():
            members = np.flatnonzero((heights == height) & (is_and == conjoined) & (arities == arity))
            rows = self.of(children[starts[members][:, None] + np.arange(arity)].ravel()).reshape(-1, arity)
            if not conjoined:
                open_ = (rows == self._ones).any(axis=1)  # "or true" leaves nothing to tell
                self._of_group[members[open_]] = self._ones
                members, rows = members[~open_], rows[~open_]
            if not len(members):
                continue
            distinct, inverse = distinct_rows(np.sort(rows, axis=1))
            self._of_group[members] = self._next + inverse
            made.append(Groups(bool(conjoined), self._next, np.ascontiguousarray(distinct.T)))
            self._next += len(distinct)
        return tuple(made)


def distinct_rows(rows: Ints) -> tuple[Ints, NDArray[np.intp]]:
    """Distinct rows of int32[n, k], and the place of each row among them."""
    order = np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(len(rows))
    ordered = rows[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    inverse = np.empty(len(rows), dtype=np.intp)
    inverse[order] = np.cumsum(new) - 1
    return ordered[new], inverse


def tops_of(rows: Ints, until: Sequence[int], ones: int) -> tuple[tuple[Ints, ...], Ints]:
    """The distinct conjunctions by arity, and each rule's place among them."""
    count = len(until) - 1
    rule_of = np.repeat(np.arange(count), np.diff(until))
    kept = rows != ones
    rows, rule_of = rows[kept], rule_of[kept]
    arities = np.bincount(rule_of, minlength=count)
    starts = np.concatenate(([0], np.cumsum(arities)))
    tops: list[Ints] = []
    top = np.empty(count, dtype=np.int32)
    first = 0
    for arity in np.unique(arities).tolist():
        members = np.flatnonzero(arities == arity)
        matrix = np.sort(rows[starts[members][:, None] + np.arange(arity)], axis=1)
        if arity == 0:
            matrix = np.full((len(members), 1), ones, dtype=np.int32)
        distinct, inverse = distinct_rows(matrix)
        tops.append(np.ascontiguousarray(distinct.T))
        top[members] = first + inverse
        first += len(distinct)
    return tuple(tops), top


def owner_tests(
    codes: NDArray[np.int64], numbers: Vector, tests: NDArray[np.intp], of: Ints
) -> tuple[OwnerTests, NDArray[np.intp]]:
    """`tests` sorted by code, and the order of that; `of` is over all tests."""
    order = np.argsort(codes[tests], kind="stable")
    ordered = tests[order]
    distinct, starts = np.unique(codes[ordered], return_index=True)
    bounds = (*starts.tolist(), len(ordered))
    return OwnerTests(tuple(distinct.tolist()), bounds, of[ordered], numbers[ordered]), order


def checks_of(check: list[int], until: list[int], codes: NDArray[np.int64], numbers: Vector) -> Checks:
    code = np.array(check, dtype=np.int32)
    tests, inverse = np.unique(code[code >= 0], return_inverse=True)
    code[code >= 0] = inverse
    columns, test = np.divmod(codes[tests], TESTS)
    left, right = np.divmod(columns, NO_COLUMN + 1)
    starts = np.array(until, dtype=np.int32)
    return Checks(
        starts=starts[:-1],
        lengths=np.diff(starts),
        code=code,
        test=test.astype(np.int8),
        left=left.astype(np.int16),
        right=right.astype(np.int16),
        numbers=numbers[tests],
        columns=tuple(column for column in np.union1d(left, right).tolist() if column != NO_COLUMN),
    )
