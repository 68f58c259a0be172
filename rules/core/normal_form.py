"""Conditions in negation normal form: trees of *and* and *or* over plain tests.

A test compares one fact with a number, or with another fact times a number, by one
of six operators, and is true only when all its facts are known. In Kleene's logic
negation moves down to the tests (De Morgan and double negation hold), where it turns
`>` into `<=`, and so on: both are untrue while a fact is unknown. What is left is
monotone, so the program needs to know of every test only where it is *true*; unknown
and false need no bits of their own. Lists, intervals and crossings are groups of tests.

A test is coded as one integer, so that a million of them are an array. A condition
as it stands in almost every rule (a field, a plain operator, a literal) is coded
straight from the stored JSON; anything else goes through the reader that also
validates. A property test holds both to the scalar explanation.
"""

from collections.abc import Sequence
from typing import Any

from rules.core.codes import coded, coded_twice, tests_of
from rules.core.conditions import InvalidConditionsError, parse_node
from rules.core.language import NESTING_MAX, AllOf, Comparison, Node, Not


class Forest:
    """Collects the tests and groups of many rules.

    An item is a test (its place in `codes` and `numbers`, ≥ 0) or a group (~ its
    place in the lists of groups, < 0). A group's children stand in `children` from
    `starts[group]` on; a child group's place is lower than its parent's.
    """

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.numbers: list[float] = []
        self.is_and: list[bool] = []
        self.heights: list[int] = []
        self.starts: list[int] = [0]
        self.children: list[int] = []

    def conjuncts(self, conditions: Sequence[Any]) -> list[int]:
        """The items that must all be true. Raises InvalidConditionsError."""
        if not isinstance(conditions, list | tuple) or not conditions:
            raise InvalidConditionsError("conditions: a list with at least one condition is wanted.")
        items: list[int] = []
        for raw in conditions:
            self._read(raw, False, True, items, 1)
        return items

    def nodes(self, node: Node) -> list[int]:
        """The same for conditions that are parsed already."""
        items: list[int] = []
        self._convert(node, False, True, items)
        return items

    def _read(self, raw: Any, negated: bool, conjoined: bool, items: list[int], depth: int) -> None:
        """Append the items of a stored node to a conjunction (or, if not `conjoined`, a disjunction)."""
        if type(raw) is dict:
            if len(raw) == 3:
                test = coded(raw)
                if test is not None:
                    items.append(len(self.codes))
                    self.codes.append(test[0] ^ negated)
                    self.numbers.append(test[1])
                    return
                both = None if negated else coded_twice(raw)
                if both is not None:
                    target = items if conjoined else []
                    target += [self._test(code, number) for code, number in both]
                    if target is not items:
                        items.append(self._group(True, target))
                    return
            elif len(raw) == 1 and depth <= NESTING_MAX:
                ((group, inner),) = raw.items()
                if group == "not":
                    self._read(inner, not negated, conjoined, items, depth + 1)
                    return
                if (group == "all" or group == "any") and type(inner) is list and inner:
                    own = (group == "all") is not negated
                    target = items if own is conjoined else []
                    for child in inner:
                        self._read(child, negated, own, target, depth + 1)
                    if target is not items:
                        items.append(self._group(own, target))
                    return
        self._convert(parse_node(raw, depth=depth), negated, conjoined, items)

    def _convert(self, node: Node, negated: bool, conjoined: bool, items: list[int]) -> None:
        if isinstance(node, Not):
            self._convert(node.node, not negated, conjoined, items)
            return
        if isinstance(node, Comparison):
            own, parts = tests_of(node, negated)
        else:
            own, parts = isinstance(node, AllOf) is not negated, None
        target = items if own is conjoined else []
        if parts is None:
            for child in node.nodes:  # type: ignore[union-attr]
                self._convert(child, negated, own, target)
        for alternatives in parts or ():
            target.append(self._group(False, [self._test(code, number) for code, number in alternatives]))
        if target is not items:
            items.append(self._group(own, target))

    def _test(self, code: int, number: float) -> int:
        self.codes.append(code)
        self.numbers.append(number)
        return len(self.codes) - 1

    def _group(self, is_and: bool, items: list[int]) -> int:
        if len(items) == 1:
            return items[0]
        heights = self.heights
        height = max((heights[~item] for item in items if item < 0), default=0) + 1
        place = len(heights)
        heights.append(height)
        self.is_and.append(is_and)
        self.children.extend(items)
        self.starts.append(len(self.children))
        return ~place
