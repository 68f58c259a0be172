"""Which kinds of events there are, and what the payload of each holds.

Each room declares its own kinds in its `events.py` and registers them when the project starts. The
journal refuses a kind that nobody declared; the contracts for clients (`docs/asyncapi.yaml`) are made
of these declarations. A payload's type is a TypedDict of what `Event.payload` may hold.
"""

from dataclasses import dataclass
from typing import Literal

StreamName = Literal["portfolio", "platform"]
PORTFOLIO: tuple[StreamName, ...] = ("portfolio",)
PLATFORM: tuple[StreamName, ...] = ("platform",)
EITHER: tuple[StreamName, ...] = ("portfolio", "platform")


class UnknownKind(ValueError):
    """An event of a kind that no room has declared."""


@dataclass(frozen=True)
class EventKind:
    """`name` as `trade.filled`, a sentence for readers of the contract, the payload's TypedDict, and whose streams
    it appears in."""

    name: str
    summary: str
    payload: type
    streams: tuple[StreamName, ...] = PORTFOLIO


KINDS: dict[str, EventKind] = {}
"""By name; filled by the rooms' `events.py`."""


def register(*kinds: EventKind) -> None:
    """Make these known. Raises ValueError for a name that is taken: two rooms would mean two things by it."""
    for kind in kinds:
        if kind.name in KINDS:
            raise ValueError(f"the kind {kind.name} is declared twice")
        KINDS[kind.name] = kind


def kind_of(name: str) -> EventKind:
    """Raises UnknownKind."""
    try:
        return KINDS[name]
    except KeyError:
        raise UnknownKind(
            f"no room has declared events of the kind {name!r}: add it to the events.py of the room that appends it"
        ) from None
