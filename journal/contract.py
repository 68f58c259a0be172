"""What clients get, as JSON Schemas: each kind of event with its payload, and the heartbeat.

Made of what the rooms declare, for every document that describes events.
"""

from collections.abc import Iterable
from typing import TypedDict
from uuid import UUID

from journal.core.events import Severity
from journal.core.kinds import EventKind
from journal.core.payloads import Schema, Schemas
from journal.stream.follower import HEARTBEAT


class RaisedAlert(TypedDict):
    """What people are told of the event; `id` is that by which it is acknowledged."""

    id: UUID
    severity: Severity
    message: str


def event_name(kind: EventKind) -> str:
    """Of the schema of one kind of event: `TradeFilledEvent` of `trade.filled`."""
    return "".join(word.capitalize() for word in kind.name.replace(".", "_").split("_")) + "Event"


def event_schemas(kinds: Iterable[EventKind], *, refs: str) -> dict[str, Schema]:
    """By name: one for each kind, discriminated by its constant `kind`, and those of the payloads.

    refs: what a reference to one of them begins with.
    """
    schemas = Schemas(refs=refs)
    events = {event_name(kind): _event(kind, schemas) for kind in kinds}
    return events | dict(sorted(schemas.by_name.items()))


def heartbeat_schema() -> Schema:
    return {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "const": HEARTBEAT},
            "at": {"type": "string", "format": "date-time", "description": "The server's clock."},
            "seconds": {"type": "number", "description": "After so much silence the next one comes."},
        },
        "required": ["kind", "at", "seconds"],
    }


def _event(kind: EventKind, schemas: Schemas) -> Schema:
    return {
        "type": "object",
        "description": f"{kind.summary}. In the stream of {' or '.join(WHOSE[name] for name in kind.streams)}.",
        "properties": {
            "stream": {"type": "string", "format": "uuid"},
            "seq": {"type": "integer", "minimum": 1},
            "kind": {"type": "string", "const": kind.name},
            "at": {"type": "string", "format": "date-time"},
            "payload": schemas.of(kind.payload),
            # left out where there is none, which is nearly always
            "alert": schemas.of(RaisedAlert),
        },
        "required": ["stream", "seq", "kind", "at", "payload"],
    }


WHOSE = {"portfolio": "a portfolio", "platform": "the platform"}
