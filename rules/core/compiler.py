"""Rules become a segment: read one by one, then numbered and shared all at once (`rules.core.numbering`)."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.core.codes import LEVELS, NO_COLUMN, WHERE_NOT_HELD, Level, decoded, level_of
from rules.core.conditions import InvalidConditionsError, parse_conditions
from rules.core.facts import Vector
from rules.core.language import CONDITIONS_MAX, AllOf
from rules.core.normal_form import Forest
from rules.core.numbering import Numbering, checks_of, owner_tests, tops_of
from rules.core.rows import plan_rows, tested
from rules.core.schedule import schedule_node
from rules.core.segment import AND, OR, Bound, Segment, stored
from rules.core.source import RuleSource, looks_everywhere

_PAIR = 2  # beside Level.OWNER 0 and Level.MARKET 1: told for pairs only
# By what the check of an entry comes to where nothing is held.
_BOUND_WHERE = {True: Bound.UNHELD_TOO, False: Bound.HELD_ELIGIBLE, None: Bound.ELIGIBLE}


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
        codes = forest.codes
        hours: list[int] = []
        try:
            items = forest.conjuncts(rule.conditions)
            told = len(codes)
            if told - first > CONDITIONS_MAX:
                parse_conditions(rule.conditions)  # tests are not conditions: the reader counts those
            if rule.schedule is not None:
                hours = forest.nodes(self._hours(rule.schedule))
        except (InvalidConditionsError, TypeError) as error:
            raise _named(rule, error) from error
        for code in codes[first:]:
            if code not in levels:
                level = level_of(code)
                levels[code] = _PAIR if level is None else int(level)
        whole = (rule.rule_type == "risk" or not rule.trades) and not any(
            levels[code] for code in codes[first:told]
        )
        items += hours
        everywhere = looks_everywhere(rule.rule_type, trades=rule.trades, blocks=rule.blocks)
        bound = Bound.ELIGIBLE if everywhere else Bound.HELD
        pairs: list[int] = []
        for item in items:
            asked = levels[codes[item]] if item >= 0 else -1
            if asked == Level.OWNER:
                self.own.append(item)
            elif asked == _PAIR:
                pairs.append(item)
            else:
                self.tops.append(item)
        if len(forest.heights) > groups:
            pairs += [item for item in items if item < 0 and self._has_pairs(item)]
        if pairs:
            for item in pairs:
                self._postfix(item)
            self.check.extend([AND] * (len(pairs) - 1))
            if bound is Bound.ELIGIBLE:
                bound = _BOUND_WHERE[_joined([self._where_not_held(item) for item in pairs], AND)]
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

    def _where_not_held(self, item: int) -> bool | None:
        """Whether it is true of what is neither held nor being bought; None: other facts say that.

        What is told True here says nothing but of positions, so it is not true of what is being bought.
        """
        if item >= 0:
            return _test_where_not_held(self.forest.codes[item], self.forest.numbers[item])
        told = [self._where_not_held(child) for child in self._children(item)]
        return _joined(told, AND if self.forest.is_and[~item] else OR)

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

        numbering = Numbering(codes, numbers)
        numbering.share(market)
        inner_tests, inner_order = owner_tests(codes, numbers, inner, owner[rule_of])
        numbering.take(inner[inner_order])
        ones = numbering.take_ones(np.flatnonzero(levels == _PAIR))
        groups = numbering.groups(forest)
        tops, top = tops_of(numbering.of(np.array(self.tops, dtype=np.int64)), self.top_until, ones)
        own_tests, _ = owner_tests(codes, numbers, own, rule_of)
        return Segment(
            keys=_objects([rule.key for rule in self.rules]),
            owner_names=_objects([rule.owner for rule in self.rules]),
            stored=tuple(map(stored, self.rules)),
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
            checks=checks_of(self.check, self.check_until, codes, numbers),
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


def _test_where_not_held(code: int, number: float) -> bool | None:
    test, left, right = decoded(code)
    sides = [side for side in (left, right) if side != NO_COLUMN and LEVELS[side] is Level.POSITION]
    if any(math.isnan(WHERE_NOT_HELD[side]) for side in sides):
        return False  # unknown
    if not sides or right != NO_COLUMN:
        return None
    (told,) = tested(test, np.array([WHERE_NOT_HELD[left]]), np.array([number]))
    return bool(told)


def _joined(outcomes: Sequence[bool | None], group: int) -> bool | None:
    """An alternative is told True only where each part is told."""
    if group == OR:
        return None if None in outcomes else True in outcomes
    return False if False in outcomes else None if None in outcomes else True
