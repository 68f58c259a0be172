"""What is said of every field of the rule language, and in which words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FieldKind(StrEnum):
    """Whose fact it is: that decides where it is looked up."""

    MARKET = "market"
    RECOMMENDATION = "recommendation"
    PORTFOLIO = "portfolio"
    POSITION = "position"
    DIVERSIFICATION = "diversification"
    TIME = "time"


class FieldType(StrEnum):
    """How a literal is written and which operators suit it."""

    NUMBER = "number"
    INTEGER = "integer"
    PERCENTAGE = "percentage"
    ORDERED_ENUM = "ordered_enum"
    TIME_OF_DAY = "time_of_day"
    WEEKDAY = "weekday"


RECOMMENDATIONS = ("STRONG_SELL", "SELL", "HOLD", "BUY", "STRONG_BUY")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

NUMERIC_TYPES = frozenset({FieldType.NUMBER, FieldType.INTEGER, FieldType.PERCENTAGE})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: what it means, in which unit, where it comes from.

    `source` is the module that computes it, `reference` where the formula is from (a book, a paper, or the
    definition that we chose). `minimum` and `maximum` bound what the fact can ever be (None: no bound), so
    that a comparison outside is refused as a mistake. `completed_bars` says that
    the value is also kept for the last two completed bars, which the operators
    `crosses_above`, `crosses_below` and `changed_to` need. `where_not_held` is what a
    position's fact is of a symbol that is neither held nor being bought: None, unknown,
    but for what nothing is a number of.
    """

    name: str
    kind: FieldKind
    type: FieldType
    unit: str
    meaning: str
    source: str
    formula: str
    reference: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    completed_bars: bool = False
    where_not_held: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON for the API's catalogue and the admin form."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "type": self.type.value,
            "unit": self.unit,
            "meaning": self.meaning,
            "source": self.source,
            "formula": self.formula,
            "reference": self.reference,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "choices": list(self.choices),
            "completed_bars": self.completed_bars,
            "where_not_held": self.where_not_held,
        }
