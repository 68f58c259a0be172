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

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from rules.core.conditions import InvalidConditionsError, parse_node
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldKind, FieldType
from rules.core.language import (
    BAR_OPERATORS,
    NESTING_MAX,
    NUMBER_MAX,
    TIMES_MAX,
    AllOf,
    Choices,
    Comparison,
    Constant,
    FieldReference,
    Interval,
    Node,
    Not,
    Operator,
    comparable_fields,
    suitable_operators,
)


class Level(IntEnum):
    """Whose fact a column is; a test of two of them can only be told for pairs of owner and symbol."""

    OWNER = 0
    MARKET = 1
    POSITION = 2
    SYMBOL = 3  # diversification: of any symbol, but as one owner sees it


class Test(IntEnum):
    """The plain operators. Each and its negation differ in the last bit."""

    __test__ = False  # not a test case

    GREATER = 0
    LESS_OR_EQUAL = 1
    GREATER_OR_EQUAL = 2
    LESS = 3
    EQUAL = 4
    NOT_EQUAL = 5


_LEVEL_OF_KIND = {
    FieldKind.PORTFOLIO: Level.OWNER,
    FieldKind.MARKET: Level.MARKET,
    FieldKind.RECOMMENDATION: Level.MARKET,
    FieldKind.TIME: Level.MARKET,
    FieldKind.POSITION: Level.POSITION,
    FieldKind.DIVERSIFICATION: Level.SYMBOL,
}
_TEST_OF = {
    Operator.EQUALS: Test.EQUAL,
    Operator.NOT_EQUALS: Test.NOT_EQUAL,
    Operator.GREATER_THAN: Test.GREATER,
    Operator.GREATER_OR_EQUAL: Test.GREATER_OR_EQUAL,
    Operator.LESS_THAN: Test.LESS,
    Operator.LESS_OR_EQUAL: Test.LESS_OR_EQUAL,
}

# A column is a field now (bar 0), or at the previous (1) or the last (2) completed bar.
COLUMNS: tuple[tuple[str, int], ...] = tuple(
    (name, bar) for name, spec in CATALOGUE.items() for bar in ((0, 1, 2) if spec.completed_bars else (0,))
)
COLUMN_OF: Mapping[tuple[str, int], int] = {column: place for place, column in enumerate(COLUMNS)}
LEVELS: tuple[Level, ...] = tuple(_LEVEL_OF_KIND[CATALOGUE[name].kind] for name, _ in COLUMNS)
NO_COLUMN = len(COLUMNS)  # the right side of a test against a number alone
_BASE = NO_COLUMN + 1
TESTS = len(Test)


def code_of(test: int, left: int, right: int = NO_COLUMN) -> int:
    """The family of a test: everything but its number."""
    return (left * _BASE + right) * TESTS + test


def decoded(code: int) -> tuple[int, int, int]:
    """(test, left column, right column or NO_COLUMN)."""
    columns, test = divmod(code, TESTS)
    left, right = divmod(columns, _BASE)
    return test, left, right


def level_of(code: int) -> Level | None:
    """MARKET or OWNER when the test is about that alone, else None: about pairs."""
    _, left, right = decoded(code)
    level = LEVELS[left]
    if level > Level.MARKET or (right != NO_COLUMN and LEVELS[right] is not level):
        return None
    return level


_PLAIN: Mapping[tuple[Any, Any], int] = {
    (name, operator.value): code_of(_TEST_OF[operator], COLUMN_OF[name, 0])
    for name, spec in CATALOGUE.items()
    for operator in suitable_operators(spec)
    if operator in _TEST_OF
}
_PAIRED: Mapping[tuple[Any, Any, Any], int] = {
    (name, operator.value, other): code_of(_TEST_OF[operator], COLUMN_OF[name, 0], COLUMN_OF[other, 0])
    for name, spec in CATALOGUE.items()
    for operator in suitable_operators(spec)
    if operator in _TEST_OF
    for other in comparable_fields(spec, operator)
}
_LITERAL: Mapping[tuple[Any, Any], float] = {
    (name, choice): float(rank)
    for name, spec in CATALOGUE.items()
    for rank, choice in enumerate(spec.choices)
}
# Numbers strictly between are surely valid; of others, and of those that are not whole, the reader decides.
_BETWEEN: Mapping[Any, tuple[float, float]] = {
    name: (
        -NUMBER_MAX if spec.minimum is None else spec.minimum,
        NUMBER_MAX if spec.maximum is None else spec.maximum,
    )
    for name, spec in CATALOGUE.items()
    if spec.type in NUMERIC_TYPES
}
_WHOLE = frozenset(name for name, spec in CATALOGUE.items() if spec.type is FieldType.INTEGER)


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
                test = _coded(raw)
                if test is not None:
                    items.append(len(self.codes))
                    self.codes.append(test[0] ^ negated)
                    self.numbers.append(test[1])
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
            own, parts = _tests(node, negated)
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


def _coded(raw: Mapping[str, Any]) -> tuple[int, float] | None:
    """The code and number of a condition as almost all are; None for the reader to look at it."""
    field, operator, value = raw.get("field"), raw.get("operator"), raw.get("value")
    kind = type(value)
    if kind is float or kind is int:
        low, high = _BETWEEN.get(field, (0, 0))
        if low < value < high and (field, operator) in _PLAIN and (kind is int or field not in _WHOLE):  # type: ignore[operator]
            return _PLAIN[field, operator], value  # type: ignore[return-value]
    elif kind is str:
        if (field, value) in _LITERAL and (field, operator) in _PLAIN:
            return _PLAIN[field, operator], _LITERAL[field, value]
    elif isinstance(value, dict):
        code = _PAIRED.get((field, operator, value.get("field")))
        times = value.get("times", 1)
        usual = type(times) in (float, int) and 0 < abs(times) <= TIMES_MAX
        if code is not None and usual and len(value) == 1 + ("times" in value):
            return code, times
    return None


_Alternatives = list[tuple[int, float]]


def _tests(node: Comparison, negated: bool) -> tuple[bool, list[_Alternatives]]:
    """A comparison as a conjunction (True) or disjunction of alternatives; one test is one alternative."""
    value, column = node.value, COLUMN_OF[node.field, 0]
    if node.operator in BAR_OPERATORS:
        return True, _bar_tests(node, negated)
    if isinstance(value, Interval):
        ends = ((Test.GREATER_OR_EQUAL, value.low), (Test.LESS_OR_EQUAL, value.high))
        return not negated, [[(code_of(test, column) ^ negated, number)] for test, number in ends]
    if isinstance(value, Choices):
        among = (node.operator is Operator.IN) is not negated
        test = Test.EQUAL if among else Test.NOT_EQUAL
        return not among, [[(code_of(test, column), number)] for number in value.numbers]
    right, number = _right(value, 0)
    return True, [[(code_of(_TEST_OF[node.operator], column, right) ^ negated, number)]]


def _bar_tests(node: Comparison, negated: bool) -> list[_Alternatives]:
    """A crossing or change: one test of the previous and one of the last completed bar, both true.

    Negated it is true when one of them is untrue *and the facts of both are known*,
    that is when each of them or its negation is true.
    """
    value = node.value
    assert isinstance(value, Constant | FieldReference), "bars are compared with one number or field"
    before, after = {
        Operator.CROSSES_ABOVE: (Test.LESS_OR_EQUAL, Test.GREATER),
        Operator.CROSSES_BELOW: (Test.GREATER_OR_EQUAL, Test.LESS),
        Operator.CHANGED_TO: (Test.NOT_EQUAL, Test.EQUAL),
    }[node.operator]
    (past, number), (present, _) = _right(value, 1), _right(value, 2)
    first = code_of(before, COLUMN_OF[node.field, 1], past)
    second = code_of(after, COLUMN_OF[node.field, 2], present)
    if not negated:
        return [[(first, number)], [(second, number)]]
    return [
        [(first ^ 1, number), (second ^ 1, number)],
        [(first, number), (first ^ 1, number)],
        [(second, number), (second ^ 1, number)],
    ]


def _right(value: Constant | FieldReference, bar: int) -> tuple[int, float]:
    if isinstance(value, Constant):
        return NO_COLUMN, value.number
    return COLUMN_OF[value.field, bar], value.times
