"""Pieces that the JSON Schemas of the language are put together from."""

from collections.abc import Sequence
from typing import Any

from rules.core.language import TIME_PATTERN

Schema = dict[str, Any]

# What `faults.check_text` refuses: nothing but blanks; control characters, line separators, and what turns text round
# or cannot be seen.
_SEEN = (
    "^(?=.*\\S)"
    "[^\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2064\\u2066-\\u206f\\ufeff]*$"
)


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
