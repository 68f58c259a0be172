"""`docs/asyncapi.yaml`: the WebSocket's contract, made of the code that keeps it."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from drf_spectacular.renderers import OpenApiYamlRenderer

from journal.contract import event_name, event_schemas, heartbeat_schema
from journal.core.events import PLATFORM_STREAM
from journal.core.kinds import EventKind
from journal.routing import PATH
from journal.services.tickets import TICKET_SECONDS
from journal.stream.closing import MEANINGS
from journal.stream.follower import HEARTBEAT
from journal.stream.request import STREAMS_MAX

SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"
BEGIN, HEARTBEAT_NAME = "Begin", "Heartbeat"
DESCRIPTION = f"""\
Everything that happens, in order, as it is recorded: {PATH} replays a stream after the `seq` that the client has,
then follows it. What a client must do stands in docs/stream.md.

Numbers of money, price and quantity are text, exact and without trailing zeros ("100", "12.5"); the REST API writes
the same numbers with all their places ("100.00000000"). Times are ISO 8601 in UTC. A payload may get more keys, and
there may be more kinds: let pass what you do not know.
"""


def asyncapi_yaml(kinds: Iterable[EventKind]) -> str:
    """The document as text, the same for the same kinds."""
    text: bytes = OpenApiYamlRenderer().render(asyncapi(kinds))
    return text.decode()


def asyncapi(kinds: Iterable[EventKind]) -> dict[str, Any]:
    """AsyncAPI 3.0, written from the server's side: it sends events and heartbeats, and receives where to begin."""
    ordered = sorted(kinds, key=lambda kind: kind.name)
    sent = [event_name(kind) for kind in ordered] + [HEARTBEAT_NAME]
    channel = "#/channels/events"
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{settings.SPECTACULAR_SETTINGS['TITLE']}: events",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {
            "events": {
                "address": PATH,
                "title": "Events",
                "description": "The events of one portfolio, or of all streams that the client may see.",
                "messages": {name: {"$ref": f"{MESSAGES}{name}"} for name in (*sent, BEGIN)},
                "bindings": {"ws": {"method": "GET", "query": _query()}},
                "x-close-codes": [{"code": int(code), "meaning": text} for code, text in MEANINGS.items()],
            }
        },
        "operations": {
            "tell": {
                "action": "send",
                "channel": {"$ref": channel},
                "summary": "What happened, in the order of `seq` in each stream; in silence a heartbeat",
                "messages": [{"$ref": f"{channel}/messages/{name}"} for name in sent],
            },
            "begin": {
                "action": "receive",
                "channel": {"$ref": channel},
                "summary": "Where to begin, once, from a client that named no portfolio in the address",
                "messages": [{"$ref": f"{channel}/messages/{BEGIN}"}],
            },
        },
        "components": {
            "messages": {event_name(kind): _message(kind) for kind in ordered}
            | {
                HEARTBEAT_NAME: {
                    "name": HEARTBEAT,
                    "summary": "Nothing happened, and the line is alive. No event: no stream, no seq",
                    "payload": {"$ref": f"{SCHEMAS}{HEARTBEAT_NAME}"},
                },
                BEGIN: {
                    "name": "begin",
                    "summary": "The last `seq` that the client has of each stream",
                    "payload": {"$ref": f"{SCHEMAS}{BEGIN}"},
                },
            },
            "schemas": {
                **event_schemas(ordered, refs=SCHEMAS),
                HEARTBEAT_NAME: heartbeat_schema(),
                BEGIN: _begin(),
            },
            "securitySchemes": _logins(),
        },
    }


def _message(kind: EventKind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": kind.summary,
        "payload": {"$ref": f"{SCHEMAS}{event_name(kind)}"},
    }


def _servers() -> dict[str, Any]:
    logins = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _logins()]
    return {
        "here": {"host": "127.0.0.1:8000", "protocol": "ws", "description": "`make run`", "security": logins},
        "deployed": {
            "host": "{host}",
            "protocol": "wss",
            "description": "Behind TLS",
            "variables": {"host": {"default": "trading.example.com"}},
            "security": logins,
        },
    }


def _logins() -> dict[str, Any]:
    return {
        "token": {
            "type": "httpApiKey", "in": "header", "name": "Authorization",
            "description": "`Token …`, for programs; tokens are made by POST /api/auth/login and /api/auth/tokens",
        },
        "ticket": {
            "type": "httpApiKey", "in": "query", "name": "ticket",
            "description": f"From POST /api/stream/tickets, for browsers: good once, for {TICKET_SECONDS} seconds",
        },
        "session": {
            "type": "httpApiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME,
            "description": "For pages of our own origin, which the Origin must name",
        },
    }  # fmt: skip


def _query() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "portfolio": {
                "type": "string", "format": "uuid",
                "description": "This stream only: a portfolio's id, or for staff the platform's, "
                f"{PLATFORM_STREAM}. Without it everything that the client may see, and he sends where to begin.",
            },
            "since": {
                "type": "integer", "minimum": 0,
                "description": "The last `seq` that the client has of `portfolio`; without it from now on.",
            },
            "ticket": {"type": "string"},
        },
    }  # fmt: skip


def _begin() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "since": {
                "type": "object",
                "propertyNames": {"format": "uuid"},
                "additionalProperties": {"type": "integer", "minimum": 0},
                "maxProperties": STREAMS_MAX,
                "description": "Visible streams that it does not name are followed from now on.",
            }
        },
        "required": ["since"],
        "additionalProperties": False,
    }
