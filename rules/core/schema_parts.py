"""Pieces that the JSON Schemas of the language are put together from."""

from collections.abc import Sequence
from typing import Any

from rules.core.language import TIME_PATTERN

Schema = dict[str, Any]

# What `faults.check_text` refuses: control characters, line separators, nothing but blanks.
_SEEN = "^(?=.*[\\S\\ufeff])[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"


def reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def object_of(properties: dict[str, Schema], *, required: Sequence[str] = (), **more: Any) -> Schema:
    """An object that has no other keys than these."""
    return {
        **more,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def text(description: str, characters_max: int) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": characters_max,
        "pattern": _SEEN,
        "description": description,
    }


def time_of_day(description: str | None = None) -> Schema:
    # The length too: to some engines `$` matches before a line's end.
    schema = {"type": "string", "pattern": f"^({TIME_PATTERN.pattern})$", "minLength": 5, "maxLength": 5}
    return schema if description is None else {**schema, "description": description}
