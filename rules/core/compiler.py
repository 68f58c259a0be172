"""Rules become a segment: read one by one, then numbered and shared all at once.

Reading is the only part that goes rule by rule in Python; finding equal tests, groups
and tops is sorting of arrays.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.core.conditions import InvalidConditionsError, parse_conditions
from rules.core.facts import Vector
from rules.core.language import AllOf
from rules.core.normal_form import LEVELS, NO_COLUMN, TESTS, Forest, Level, decoded, level_of
from rules.core.rows import plan_rows
from rules.core.schedule import schedule_node
from rules.core.segment import AND, OR, Bound, Checks, Groups, Ints, OwnerTests, Segment
from rules.core.source import RuleSource

_PAIR = 2  # beside Level.OWNER 0 and Level.MARKET 1: told for pairs only


def compile_segment(rules: Sequence[RuleSource]) -> Segment:
    """Raises InvalidConditionsError, which names the rule that does not parse."""
    reader = _Reader(rules)
    for rule in rules:
        reader.read(rule)
    return reader.finish()


class _Reader:
    def __init__(self, rules: Sequence[RuleSource]) -> None:
        self.rules = tuple(rules)
        self.forest = Forest()
        self.levels: dict[int, int] = {}  # of codes
        self.owners: dict[Hashable, int] = {}
        self.owner: list[int] = []
        self.tests_until: list[int] = [0]  # of each rule, in the forest
        self.own: list[int] = []  # tests of portfolio facts at the top of a rule
        self.tops: list[int] = []  # items, rule by rule
        self.top_until: list[int] = [0]
        self.check: list[int] = []
        self.check_until: list[int] = [0]
        self.bound: list[int] = []
        self.hours: dict[str, AllOf] = {}
        self.whole: list[bool] = []

    def read(self, rule: RuleSource) -> None:
        forest, levels = self.forest, self.levels
        first, groups = len(forest.codes), len(forest.heights)
        try:
            items = forest.conjuncts(rule.conditions)
        except (InvalidConditionsError, TypeError) as error:
            raise _named(rule, error) from error
        codes = forest.codes
        for code in codes[first:]:
            if code not in levels:
                level = level_of(code)
                levels[code] = _PAIR if level is None else int(level)
        whole = (rule.rule_type == "risk" or not rule.trades) and not any(
            levels[code] for code in codes[first:]
        )
        if rule.schedule is not None:
            items += forest.nodes(self._hours(rule.schedule))
            for code in codes[first:]:
                levels.setdefault(code, int(Level.MARKET))
        # What is not held can be neither sold nor at risk.
        bound = Bound.ELIGIBLE if rule.rule_type == "entry" else Bound.HELD
        pairs: list[int] = []
        for item in items:
            asked = levels[codes[item]] if item >= 0 else -1
            if asked == Level.OWNER:
                self.own.append(item)
            elif asked == _PAIR:
                pairs.append(item)
                if bound is Bound.ELIGIBLE and _asks_position(codes[item]):
                    bound = Bound.HELD_ELIGIBLE
            else:
                self.tops.append(item)
        if len(forest.heights) > groups:
            pairs += [item for item in items if item < 0 and self._has_pairs(item)]
        if pairs:
            for item in pairs:
                self._postfix(item)
            self.check.extend([AND] * (len(pairs) - 1))
        self.owner.append(self.owners.setdefault(rule.owner, len(self.owners)))
        if whole:
            bound = Bound.ANYWHERE if rule.schedule is None else Bound.ELIGIBLE
        self.bound.append(bound)
        self.whole.append(whole)
        self.tests_until.append(len(codes))
        self.top_until.append(len(self.tops))
        self.check_until.append(len(self.check))

    def _hours(self, schedule: Mapping[str, Any]) -> AllOf:
        """A schedule's conditions. Few different ones occur."""
        text = json.dumps(schedule, sort_keys=True)
        if text not in self.hours:
            node = schedule_node(schedule)
            assert node is not None, "a schedule that is there has conditions"
            self.hours[text] = node
        return self.hours[text]

    def _children(self, item: int) -> list[int]:
        starts = self.forest.starts
        return self.forest.children[starts[~item] : starts[~item + 1]]

    def _has_pairs(self, item: int) -> bool:
        if item >= 0:
            return self.levels[self.forest.codes[item]] == _PAIR
        return any(self._has_pairs(child) for child in self._children(item))

    def _postfix(self, item: int) -> None:
        if item >= 0:
            self.check.append(item)
            return
        children = self._children(item)
        for child in children:
            self._postfix(child)
        self.check.extend([AND if self.forest.is_and[~item] else OR] * (len(children) - 1))

    def finish(self) -> Segment:
        forest = self.forest
        codes = np.array(forest.codes, dtype=np.int64)
        try:
            numbers = np.array(forest.numbers, dtype=np.float64)
        except OverflowError:
            numbers = np.array([_float(number) for number in forest.numbers], dtype=np.float64)
        self._refuse_infinite(numbers)
        numbers += 0.0  # -0.0 is 0.0
        owner = np.array(self.owner, dtype=np.int32)
        distinct, inverse = np.unique(codes, return_inverse=True)
        levels = np.array([self.levels[code] for code in distinct.tolist()], dtype=np.int8)[inverse]
        rule_of = np.repeat(np.arange(len(self.rules), dtype=np.int32), np.diff(self.tests_until))
        own = np.array(self.own, dtype=np.intp)
        nested = levels == Level.OWNER
        nested[own] = False
        inner = np.flatnonzero(nested)
        market = np.flatnonzero(levels == Level.MARKET)

        numbering = _Numbering(codes, numbers)
        numbering.share(market)
        inner_tests, inner_order = _owner_tests(codes, numbers, inner, owner[rule_of])
        numbering.take(inner[inner_order])
        ones = numbering.take_ones(np.flatnonzero(levels == _PAIR))
        groups = numbering.groups(forest)
        tops, top = _tops(numbering.of(np.array(self.tops, dtype=np.int64)), self.top_until, ones)
        own_tests, _ = _owner_tests(codes, numbers, own, rule_of)
        return Segment(
            rules=self.rules,
            keys=_objects([rule.key for rule in self.rules]),
            owner_names=_objects([rule.owner for rule in self.rules]),
            owners=tuple(self.owners),
            owner=owner,
            bound=np.array(self.bound, dtype=np.int8),
            whole=np.array(self.whole, dtype=np.bool_),
            own=own_tests,
            rows=plan_rows(numbering.literal_codes, numbering.literal_numbers),
            inner=inner_tests,
            groups=groups,
            ones=ones,
            tops=tops,
            top=top,
            by_top=np.argsort(top, kind="stable").astype(np.int32),
            checks=_checks(self.check, self.check_until, codes, numbers),
        )

    def _refuse_infinite(self, numbers: Vector) -> None:
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if wrong.size:
            rule = self.rules[int(np.searchsorted(self.tests_until, wrong[0], side="right")) - 1]
            raise _named(rule, InvalidConditionsError("conditions: a number is not finite."))


def _objects(objects: Sequence[Hashable]) -> NDArray[np.object_]:
    return np.fromiter(objects, dtype=object, count=len(objects))


def _named(rule: RuleSource, error: Exception) -> InvalidConditionsError:
    """The first fault as validation tells it, with its whole path."""
    try:
        parse_conditions(rule.conditions)
    except InvalidConditionsError as told:
        error = told
    return InvalidConditionsError(f"rule {rule.key}: {error}")


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _asks_position(code: int) -> bool:
    """Whether the test reads a position fact, so that it is true of held symbols only."""
    _, left, right = decoded(code)
    return LEVELS[left] is Level.POSITION or (right != NO_COLUMN and LEVELS[right] is Level.POSITION)


class _Numbering:
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


def _tops(rows: Ints, until: Sequence[int], ones: int) -> tuple[tuple[Ints, ...], Ints]:
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


def _owner_tests(
    codes: NDArray[np.int64], numbers: Vector, tests: NDArray[np.intp], of: Ints
) -> tuple[OwnerTests, NDArray[np.intp]]:
    """`tests` sorted by code, and the order of that; `of` is over all tests."""
    order = np.argsort(codes[tests], kind="stable")
    ordered = tests[order]
    distinct, starts = np.unique(codes[ordered], return_index=True)
    bounds = (*starts.tolist(), len(ordered))
    return OwnerTests(tuple(distinct.tolist()), bounds, of[ordered], numbers[ordered]), order


def _checks(check: list[int], until: list[int], codes: NDArray[np.int64], numbers: Vector) -> Checks:
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
