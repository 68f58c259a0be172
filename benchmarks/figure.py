from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value against its floor; `floor_what` says what the floor is, `n` how often it was measured."""

    name: str
    value: float
    unit: str
    floor: float
    floor_what: str
    n: int
    notes: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.value / self.floor, 3)}
