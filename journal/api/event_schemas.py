"""Every kind of event in the description of the API, so that a client's compiler knows them all.

What the WebSocket sends is described here, too, though OpenAPI has no operation for it: `Event` and `StreamHeartbeat`
are the messages that a client gets, whichever way it asks.
"""

from typing import Any

from journal.contract import event_name, event_schemas, heartbeat_schema
from journal.core.kinds import KINDS

REFS = "#/components/schemas/"
EVENT, HEARTBEAT = "Event", "StreamHeartbeat"
_TOLD = (
    "One event, exactly as the WebSocket sends it; `kind` says what its payload holds. In time there will be other "
    "kinds, and payloads will hold more: pass over what you do not know."
)


def add_events(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular's: what the serializer of events leaves open is one of the declared kinds."""
    kinds = {name: f"{REFS}{event_name(kind)}" for name, kind in sorted(KINDS.items())}
    added = event_schemas([KINDS[name] for name in kinds], refs=REFS)
    added[HEARTBEAT] = {
        "description": "Sent by the WebSocket while nothing happens. It has no number.",
        **heartbeat_schema(),
    }
    schemas = result["components"]["schemas"]
    taken = schemas.keys() & added.keys()
    assert not taken, f"two schemas have the name {', '.join(sorted(taken))}"
    added[EVENT] = {
        "description": _TOLD,
        "oneOf": [{"$ref": ref} for ref in kinds.values()],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }
    result["components"]["schemas"] = dict(sorted({**schemas, **added}.items()))
    return result
