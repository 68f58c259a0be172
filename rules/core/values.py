"""Reading the right side of a comparison: a literal, a list of them, or another field.

Here a value is refused that the fact can never reach: `confidence_score` above 80
would be accepted by arithmetic and never fire.
"""

from collections.abc import Mapping
from typing import Any

from rules.core.faults import Faults, check_keys, did_you_mean, quoted, read_number
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldSpec, FieldType
from rules.core.language import (
    BAR_OPERATORS,
    CHOICES_MAX,
    LIST_OPERATORS,
    NEVER_AT_MAXIMUM,
    NEVER_AT_MINIMUM,
    TIMES_MAX,
    Choices,
    Constant,
    FieldReference,
    Interval,
    Operator,
    Value,
    comparable_fields,
    minutes_of,
    shown,
)


class ValueReader:
    """Reads the right side of one comparison, knowing its field and operator."""

    def __init__(self, spec: FieldSpec, operator: Operator, faults: Faults) -> None:
        self._spec = spec
        self._operator = operator
        self._faults = faults

    def read(self, raw: object, path: str) -> Value | None:
        if isinstance(raw, Mapping):
            return self._read_reference(raw, path)
        if self._operator is Operator.BETWEEN:
            return self._read_interval(raw, path)
        if self._operator in LIST_OPERATORS:
            return self._read_choices(raw, path)
        number = self._read_literal(raw, path)
        return None if number is None or self._never(number, path) else Constant(number)

    def _read_interval(self, raw: object, path: str) -> Interval | None:
        if not isinstance(raw, list | tuple) or len(raw) != 2:
            self._faults.add(path, '"between" wants a list of two values.', "Write [low, high].")
            return None
        low = self._read_literal(raw[0], f"{path}[0]")
        high = self._read_literal(raw[1], f"{path}[1]")
        if low is None or high is None:
            return None
        if low > high:
            swapped = f"[{shown(self._spec.name, high)}, {shown(self._spec.name, low)}]"
            self._faults.add(
                path, "The low end is above the high end: never true.", f"Did you mean {swapped}?"
            )
            return None
        return Interval(low, high)

    def _read_choices(self, raw: object, path: str) -> Choices | None:
        if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= CHOICES_MAX:
            self._faults.add(
                path, f'"{self._operator}" wants a list of 1 to {CHOICES_MAX} values.', "Write [ … ]."
            )
            return None
        numbers = [self._read_literal(item, f"{path}[{index}]") for index, item in enumerate(raw)]
        known = {number for number in numbers if number is not None}
        if self._spec.choices and len(known) == len(self._spec.choices):
            decides = "always" if self._operator is Operator.IN else "never"
            self._faults.add(
                path,
                f"These are all that {self._spec.name} can be: {decides} true, so it decides nothing.",
                "Leave some of them out, or remove the comparison.",
            )
            return None
        return Choices(tuple(sorted(known))) if None not in numbers else None

    def _read_literal(self, raw: object, path: str) -> float | None:
        spec = self._spec
        if spec.choices:
            if isinstance(raw, str) and raw in spec.choices:
                return float(spec.choices.index(raw))
            self._faults.add(path, f"{quoted(raw)} is not a {spec.name}.", did_you_mean(raw, spec.choices))
            return None
        if spec.type is FieldType.TIME_OF_DAY:
            minutes = minutes_of(raw) if isinstance(raw, str) else None
            if minutes is None:
                self._faults.add(path, f"{quoted(raw)} is not a time of day.", 'Write "HH:MM", as "09:45".')
            return minutes
        number = read_number(raw, path, self._faults, is_fraction=spec.unit.startswith("fraction"))
        if number is None or not self._possible(number, path):
            return None
        return number

    def _possible(self, number: float, path: str) -> bool:
        """Whether the fact could ever lie on either side of the number."""
        spec = self._spec
        if spec.type is FieldType.INTEGER and number != int(number):
            self._faults.add(
                path, f"{spec.name} is a whole number of {spec.unit}.", f"Did you mean {round(number)}?"
            )
            return False
        below = spec.minimum is not None and number < spec.minimum
        above = spec.maximum is not None and number > spec.maximum
        if below or above:
            self._faults.add(
                path,
                f"{spec.name} is never {'below' if below else 'above'} "
                f"{spec.minimum if below else spec.maximum:.12g}, so {number:.12g} decides nothing.",
                self._cure(number),
            )
            return False
        return True

    def _never(self, number: float, path: str) -> bool:
        """Whether the fact would have to lie beyond its own bounds."""
        spec = self._spec
        too_high = number == spec.maximum and self._operator in NEVER_AT_MAXIMUM
        too_low = number == spec.minimum and self._operator in NEVER_AT_MINIMUM
        if not (too_high or too_low):
            return False
        literal = shown(spec.name, number)
        text = literal if isinstance(literal, str) else f"{number:.12g}"
        cure = self._range() if spec.type in NUMERIC_TYPES else "Use another value, or another operator."
        self._faults.add(path, f"{spec.name} {self._operator} {text} can never be true.", cure)
        return True

    def _cure(self, number: float) -> str:
        low, high = self._spec.minimum, self._spec.maximum
        if self._spec.unit.startswith("fraction") and high is not None and high < number <= 100 * high:
            return f"Did you mean {number / 100:.12g}?"
        if low == 0 and number < 0 and (high is None or -number <= high):
            return f"Did you mean {-number:.12g}?"
        return self._range()

    def _range(self) -> str:
        low, high = self._spec.minimum, self._spec.maximum
        if low is not None and high is not None:
            return f"Use a value from {low:.12g} to {high:.12g}."
        return f"Use a value {f'from {low:.12g} up' if low is not None else f'up to {high:.12g}'}."

    def _read_reference(self, raw: Mapping[Any, Any], path: str) -> FieldReference | None:
        faults = self._faults
        if self._operator is Operator.BETWEEN or self._operator in LIST_OPERATORS:
            faults.add(
                path,
                f'"{self._operator}" takes no other field.',
                'Write two comparisons, "greater_or_equal" and "less_or_equal".',
            )
            return None
        if not check_keys(raw, path, known=("field", "times"), required=("field",), faults=faults):
            return None
        name = raw["field"]
        other = CATALOGUE.get(name) if isinstance(name, str) else None
        if other is None:
            faults.add(f"{path}.field", f"Unknown field {quoted(name)}.", did_you_mean(name, CATALOGUE))
            return None
        if not self._comparable(other, f"{path}.field"):
            return None
        times = read_number(raw.get("times", 1), f"{path}.times", faults)
        if times is None:
            return None
        if times == 0 or abs(times) > TIMES_MAX:
            faults.add(
                f"{path}.times",
                f"{times:.12g} is no useful factor.",
                f"Use a factor up to {TIMES_MAX:.12g}, not 0.",
            )
            return None
        return FieldReference(other.name, times)

    def _comparable(self, other: FieldSpec, path: str) -> bool:
        spec = self._spec
        alike = comparable_fields(spec, self._operator)
        if other.name in alike:
            return True
        if other.name == spec.name:
            reason = f"{spec.name} is compared with itself."
        elif self._operator in BAR_OPERATORS and not other.completed_bars:
            reason = f"{other.name} is not kept for completed bars."
        else:
            reason = f"{spec.name} ({spec.unit}) cannot be compared with {other.name} ({other.unit})."
        cure = "Use one of: " + ", ".join(alike) + "." if alike else "Use a literal."
        self._faults.add(path, reason, cure)
        return False
