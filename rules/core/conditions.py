"""Reading conditions: from JSON to frozen nodes, or to a list of faults.

One reader serves validation, explanation, and all of compilation but what
`rules.core.codes` knows to be valid at a glance; a property test holds the two to the
same verdicts. It is bounded before it recurses: a deep or long
document costs no more than the limits allow.
"""

from collections.abc import Mapping
from typing import Any

from rules.core.faults import Faults, check_keys, did_you_mean, quoted
from rules.core.fields import CATALOGUE, FieldSpec
from rules.core.language import (
    BAR_OPERATORS,
    CONDITIONS_MAX,
    NESTING_MAX,
    OPERATORS,
    TESTS_MAX,
    AllOf,
    AnyOf,
    Choices,
    Comparison,
    Interval,
    Node,
    Not,
    Operator,
    Value,
    suitable_operators,
)
from rules.core.values import ValueReader

_COMPARISON_KEYS = ("field", "operator", "value")
_GROUP_KEYS = ("all", "any", "not")
_NODE_KEYS = (*_COMPARISON_KEYS, *_GROUP_KEYS)


class InvalidConditionsError(ValueError):
    """Stored conditions do not parse: they were not validated, or the language changed under them."""


def parse_conditions(raw: object) -> AllOf:
    """Nodes of a validated list of conditions; InvalidConditionsError names the first fault."""
    faults = Faults()
    node = read_conditions(raw, faults)
    if node is None:
        first = faults.found[0]
        raise InvalidConditionsError(f"{first.path}: {first.message}")
    return node


def parse_node(raw: object, *, depth: int = 1) -> Node:
    """One validated node so deep in a rule; InvalidConditionsError names the first fault."""
    faults = Faults()
    node = _Reader(faults).read_node(raw, "conditions[0]", depth)
    if node is None or faults.found:
        first = faults.found[0]
        raise InvalidConditionsError(f"{first.path}: {first.message}")
    return node


def read_conditions(raw: object, faults: Faults) -> AllOf | None:
    """The list of conditions as one node (a list means *all*), or None with faults added."""
    reader = _Reader(faults)
    before = len(faults.found)
    nodes = reader.read_list(raw, "conditions", depth=1)
    return AllOf(nodes) if len(faults.found) == before else None


class _Reader:
    """Walks one document; counts its comparisons, and the values they compare with, over all levels."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._comparisons = 0
        self._tests = 0

    def read_list(self, raw: object, path: str, *, depth: int) -> tuple[Node, ...]:
        if not isinstance(raw, list | tuple):
            self._faults.add(path, f"{quoted(raw)} is not a list of conditions.", "Write [ … ].")
            return ()
        if not raw:
            self._faults.add(
                path, "The list is empty: nothing would decide.", "Write at least one condition."
            )
        if len(raw) > CONDITIONS_MAX:
            self._faults.add(
                path, f"{len(raw)} conditions are too many.", f"Use at most {CONDITIONS_MAX} in a rule."
            )
            return ()
        nodes: list[Node] = []
        for index, item in enumerate(raw):
            if self._faults.full or self._comparisons > CONDITIONS_MAX or self._tests > TESTS_MAX:
                break
            node = self.read_node(item, f"{path}[{index}]", depth)
            if node is not None:
                nodes.append(node)
        return tuple(nodes)

    def read_node(self, raw: object, path: str, depth: int) -> Node | None:
        if depth > NESTING_MAX:
            self._faults.add(
                path,
                f"Conditions are nested deeper than {NESTING_MAX}.",
                "Flatten the groups or split the rule in two.",
            )
            return None
        if not isinstance(raw, Mapping):
            self._faults.add(
                path,
                f"{quoted(raw)} is not a condition.",
                'Write {"field": …, "operator": …, "value": …} or a group "all", "any", "not".',
            )
            return None
        groups = [key for key in _GROUP_KEYS if key in raw]
        if not groups:
            return self._read_comparison(raw, path)
        if len(raw) != 1:
            unknown = [key for key in raw if key not in _NODE_KEYS]
            self._faults.add(
                path,
                f'A group has the one key "{groups[0]}", found {len(raw)} keys.'
                + (f" Unknown key {quoted(unknown[0])}." if unknown else ""),
                "Put one group inside the other.",
            )
            return None
        return self._read_group(groups[0], raw[groups[0]], path, depth)

    def _read_group(self, key: str, raw: object, path: str, depth: int) -> Node | None:
        if key == "not":
            child = self.read_node(raw, f"{path}.not", depth + 1)
            return None if child is None else Not(child)
        nodes = self.read_list(raw, f"{path}.{key}", depth=depth + 1)
        return AllOf(nodes) if key == "all" else AnyOf(nodes)

    def _read_comparison(self, raw: Mapping[Any, Any], path: str) -> Comparison | None:
        self._comparisons += 1
        if self._comparisons > CONDITIONS_MAX:
            if self._comparisons == CONDITIONS_MAX + 1:
                self._faults.add(
                    path,
                    f"A rule has at most {CONDITIONS_MAX} conditions over all levels.",
                    "Split the rule in two.",
                )
            return None
        if not any(key in raw for key in _COMPARISON_KEYS):
            keys = ", ".join(quoted(key) for key in list(raw)[:3])
            self._faults.add(
                path,
                f"Not a condition: the keys are {keys or 'missing'}.",
                did_you_mean(next(iter(raw), None), _NODE_KEYS),
            )
            return None
        if not check_keys(raw, path, known=_COMPARISON_KEYS, required=_COMPARISON_KEYS, faults=self._faults):
            return None
        spec = self._read_field(raw["field"], f"{path}.field")
        operator = self._read_operator(raw["operator"], spec, f"{path}.operator")
        if spec is None or operator is None:
            return None
        value = ValueReader(spec, operator, self._faults).read(raw["value"], f"{path}.value")
        if value is None or not self._count_tests(value, f"{path}.value"):
            return None
        return Comparison(spec.name, operator, value)

    def _count_tests(self, value: Value, path: str) -> bool:
        """Whether the rule still compares with few enough values."""
        before = self._tests
        self._tests += (
            len(value.numbers) if isinstance(value, Choices) else 2 if isinstance(value, Interval) else 1
        )
        if before <= TESTS_MAX < self._tests:
            self._faults.add(
                path,
                f"A rule compares with at most {TESTS_MAX} values over all levels.",
                "Shorten the lists, or split the rule in two.",
            )
        return self._tests <= TESTS_MAX

    def _read_field(self, raw: object, path: str) -> FieldSpec | None:
        spec = CATALOGUE.get(raw) if isinstance(raw, str) else None
        if spec is None:
            self._faults.add(path, f"Unknown field {quoted(raw)}.", did_you_mean(raw, CATALOGUE))
        return spec

    def _read_operator(self, raw: object, spec: FieldSpec | None, path: str) -> Operator | None:
        operator = OPERATORS.get(raw) if isinstance(raw, str) else None
        if operator is None:
            known = OPERATORS if spec is None else suitable_operators(spec)
            self._faults.add(path, f"Unknown operator {quoted(raw)}.", did_you_mean(raw, known))
            return None
        if spec is None:
            return operator
        suitable = suitable_operators(spec)
        if operator in suitable:
            return operator
        if operator in BAR_OPERATORS:
            reason = f'"{operator}" compares completed bars, and {spec.name} is not kept for them.'
        else:
            reason = f'"{operator}" does not suit {spec.name} ({spec.type}).'
        self._faults.add(path, reason, "Use one of: " + ", ".join(sorted(suitable)) + ".")
        return None
