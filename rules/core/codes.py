"""How conditions are coded: every test of them is one integer, its family, and one number.

A condition as it stands in almost every rule (a field, a plain operator, a literal) is
coded straight from the stored JSON; `None` says that the reader which also validates is
to look at it. A property test holds both to the scalar explanation.
"""

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldKind, FieldType
from rules.core.language import (
    BAR_OPERATORS,
    NUMBER_MAX,
    TIMES_MAX,
    Choices,
    Comparison,
    Constant,
    FieldReference,
    Interval,
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

# At the previous and at the last completed bar; both are true.
_TESTS_OF_BARS = {
    Operator.CROSSES_ABOVE: (Test.LESS_OR_EQUAL, Test.GREATER),
    Operator.CROSSES_BELOW: (Test.GREATER_OR_EQUAL, Test.LESS),
    Operator.CHANGED_TO: (Test.NOT_EQUAL, Test.EQUAL),
}

# A column is a field now (bar 0), or at the previous (1) or the last (2) completed bar.
COLUMNS: tuple[tuple[str, int], ...] = tuple(
    (name, bar) for name, spec in CATALOGUE.items() for bar in ((0, 1, 2) if spec.completed_bars else (0,))
)
COLUMN_OF: Mapping[tuple[str, int], int] = {column: place for place, column in enumerate(COLUMNS)}
LEVELS: tuple[Level, ...] = tuple(_LEVEL_OF_KIND[CATALOGUE[name].kind] for name, _ in COLUMNS)
WHERE_NOT_HELD: tuple[float, ...] = tuple(
    math.nan if told is None else told for told in (CATALOGUE[name].where_not_held for name, _ in COLUMNS)
)
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
_ENDS: Mapping[Any, tuple[int, int]] = {
    name: (
        code_of(Test.GREATER_OR_EQUAL, COLUMN_OF[name, 0]),
        code_of(Test.LESS_OR_EQUAL, COLUMN_OF[name, 0]),
    )
    for name in _BETWEEN
}
_BARS: Mapping[tuple[Any, Any, Any], tuple[int, int]] = {
    (name, operator.value, other): (
        code_of(tests[0], COLUMN_OF[name, 1], NO_COLUMN if other is None else COLUMN_OF[other, 1]),
        code_of(tests[1], COLUMN_OF[name, 2], NO_COLUMN if other is None else COLUMN_OF[other, 2]),
    )
    for name in _BETWEEN
    for operator, tests in _TESTS_OF_BARS.items()
    if operator in suitable_operators(CATALOGUE[name])
    for other in (None, *comparable_fields(CATALOGUE[name], operator))
}
_WHOLE = frozenset(name for name, spec in CATALOGUE.items() if spec.type is FieldType.INTEGER)


def coded(raw: Mapping[str, Any]) -> tuple[int, float] | None:
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


def coded_twice(raw: Mapping[str, Any]) -> tuple[tuple[int, float], tuple[int, float]] | None:
    """The same for what is two tests: an interval, or a crossing or change over two bars."""
    field, operator, value = raw.get("field"), raw.get("operator"), raw.get("value")
    if operator == "between":
        codes = _ENDS.get(field)
        if codes is not None and type(value) is list and len(value) == 2 and _usual(field, *value):
            return ((codes[0], value[0]), (codes[1], value[1])) if value[0] <= value[1] else None
        return None
    if isinstance(value, dict):
        codes = _BARS.get((field, operator, value.get("field", "")))
        number: Any = value.get("times", 1)
        usual = type(number) in (float, int) and 0 < abs(number) <= TIMES_MAX
        usual = usual and len(value) == 1 + ("times" in value)
    else:
        codes, number = _BARS.get((field, operator, None)), value
        usual = codes is not None and _usual(field, number)
    return ((codes[0], number), (codes[1], number)) if codes is not None and usual else None


def _usual(field: Any, *numbers: Any) -> bool:
    """Whether numbers are surely valid for a field."""
    low, high = _BETWEEN[field]
    return all(
        (type(number) is int or (type(number) is float and field not in _WHOLE)) and low < number < high
        for number in numbers
    )


_Alternatives = list[tuple[int, float]]


def tests_of(node: Comparison, negated: bool) -> tuple[bool, list[_Alternatives]]:
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
    before, after = _TESTS_OF_BARS[node.operator]
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
