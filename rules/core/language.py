"""The rule language: node shapes, operators, and how a value is written.

A condition is a comparison `{"field", "operator", "value"}` or `{"all": […]}`,
`{"any": […]}`, `{"not": node}`; a list means *all*. Parsed nodes are frozen and
hashable with every literal as a float, so equal conditions are equal objects
however they were written (`5` or `5.0`), and can be evaluated once for everybody.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldSpec, FieldType

NESTING_MAX = 8
CONDITIONS_MAX = 64
CHOICES_MAX = 64
# Values compared with in a rule over all levels: lists multiply conditions, and each value is a test of its own.
TESTS_MAX = 256
# Larger than any fact, and well within the whole numbers that a float64 holds (up to 9 * 10^15).
NUMBER_MAX = 10**15
TIMES_MAX = 10**6

TIME_PATTERN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


class RuleType(StrEnum):
    """What a rule is for: opening positions, closing them, or guarding the portfolio."""

    ENTRY = "entry"
    EXIT = "exit"
    RISK = "risk"


class Operator(StrEnum):
    """All comparisons. The last three look at the last two completed bars."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    GREATER_THAN = "greater_than"
    GREATER_OR_EQUAL = "greater_or_equal"
    LESS_THAN = "less_than"
    LESS_OR_EQUAL = "less_or_equal"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    CROSSES_ABOVE = "crosses_above"
    CROSSES_BELOW = "crosses_below"
    CHANGED_TO = "changed_to"


# By their text: on Python 3.11 `text in Operator` raises for a plain string.
OPERATORS: Mapping[str, Operator] = {operator.value: operator for operator in Operator}
RULE_TYPES: Mapping[str, RuleType] = {rule_type.value: rule_type for rule_type in RuleType}
BAR_OPERATORS = frozenset({Operator.CROSSES_ABOVE, Operator.CROSSES_BELOW, Operator.CHANGED_TO})
LIST_OPERATORS = frozenset({Operator.IN, Operator.NOT_IN})
# Never true with the end of what a fact can be on the right, hence refused there.
NEVER_AT_MAXIMUM = frozenset({Operator.GREATER_THAN, Operator.CROSSES_ABOVE})
NEVER_AT_MINIMUM = frozenset({Operator.LESS_THAN, Operator.CROSSES_BELOW})
_EQUALITY = frozenset({Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.NOT_IN})
_ORDER = frozenset(
    {
        Operator.GREATER_THAN,
        Operator.GREATER_OR_EQUAL,
        Operator.LESS_THAN,
        Operator.LESS_OR_EQUAL,
        Operator.BETWEEN,
    }
)


def suitable_operators(spec: FieldSpec) -> frozenset[Operator]:
    """The operators that make sense for a field.

    A time of day has no equality: a rule that waits for 10:00 exactly would
    depend on who looks when. A weekday has no order: weeks go round.
    """
    if spec.type is FieldType.TIME_OF_DAY:
        return _ORDER
    if spec.type is FieldType.WEEKDAY:
        return _EQUALITY
    suitable = _EQUALITY | _ORDER
    if not spec.completed_bars:
        return suitable
    if spec.type in NUMERIC_TYPES:
        return suitable | BAR_OPERATORS
    return suitable | {Operator.CHANGED_TO}


def comparable_fields(spec: FieldSpec, operator: Operator) -> tuple[str, ...]:
    """The other fields that a field may be compared with by a suitable operator, by name: numbers of its unit.

    None for lists and intervals, and for what is no number.
    """
    if spec.type not in NUMERIC_TYPES or operator is Operator.BETWEEN or operator in LIST_OPERATORS:
        return ()
    return tuple(
        sorted(
            other.name
            for other in CATALOGUE.values()
            if other.name != spec.name
            and other.unit == spec.unit
            and other.type in NUMERIC_TYPES
            and (other.completed_bars or operator not in BAR_OPERATORS)
        )
    )


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, as the float that facts are compared with."""

    number: float


@dataclass(frozen=True, slots=True)
class Interval:
    """The value of `between`; both ends belong to it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Choices:
    """The value of `in` and `not_in`, sorted."""

    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FieldReference:
    """`{"field": "sma_50", "times": 1.02}`: another fact, scaled."""

    field: str
    times: float


Value = Constant | Interval | Choices | FieldReference


@dataclass(frozen=True, slots=True)
class Comparison:
    """One fact against one value."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when every node is true."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when at least one node is true."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the node is false; unknown stays unknown."""

    node: "Node"


Node = Comparison | AllOf | AnyOf | Not


def fields_of(node: Node) -> frozenset[str]:
    """Every field that the node reads, on either side of a comparison."""
    if isinstance(node, Comparison):
        other = {node.value.field} if isinstance(node.value, FieldReference) else set()
        return frozenset({node.field} | other)
    if isinstance(node, Not):
        return fields_of(node.node)
    return frozenset[str]().union(*(fields_of(child) for child in node.nodes))


def minutes_of(text: str) -> float | None:
    """Minutes since midnight of `HH:MM`, or None when it is not a time."""
    match = TIME_PATTERN.fullmatch(text)
    return None if match is None else float(int(match[1]) * 60 + int(match[2]))


def shown(field: str, number: float) -> float | int | str:
    """A fact or literal as people write it: a class name, `HH:MM` (with seconds if there are any), or the number.

    `number` must be finite. A rank between or outside the classes is shown as a number.
    """
    spec = CATALOGUE[field]
    whole = int(number)
    if spec.type is FieldType.TIME_OF_DAY and 0 <= number < 1440:
        seconds = f"{(number - whole) * 60:09.6f}".rstrip("0").rstrip(".")
        return f"{whole // 60:02d}:{whole % 60:02d}" + (f":{seconds}" if float(seconds or 0) else "")
    if spec.choices and number == whole and 0 <= whole < len(spec.choices):
        return spec.choices[whole]
    return whole if number == whole and abs(number) < NUMBER_MAX else float(number)
