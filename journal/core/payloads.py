"""JSON Schemas (2020-12) of payloads, made of their types.

A payload's type says what services put in; its schema says what clients get, which is that in
canonical JSON: Decimal as plain text ("100", "12.5"), times as ISO 8601 in UTC, ids and enumerations as text.
"""

import inspect
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

Schema = dict[str, Any]
SUFFIX = "Payload"
"""What the schemas' names end with, beside others in one document."""

_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
}
DECIMAL = "PlainDecimal"
_DECIMAL: Schema = {
    "type": "string",
    "pattern": r"^-?[0-9]+(\.[0-9]*[1-9])?$",
    "description": "An exact number as text, without exponent or trailing zeros.",
}


class Schemas:
    """The schemas of some types: each TypedDict once and by its name, and Decimal by that of `DECIMAL`.

    refs: what a reference to a TypedDict begins with, as `#/components/schemas/`. closed: whether keys that a type
    does not declare are forbidden; in contracts for clients they are not, for payloads may grow.
    """

    def __init__(self, *, refs: str, closed: bool = False) -> None:
        self._refs = refs
        self._closed = closed
        self.by_name: dict[str, Schema] = {}
        self._types: dict[str, type] = {}

    def of(self, kind: Any) -> Schema:
        """Raises TypeError for a type that has no JSON."""
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if kind is Decimal:
            self.by_name[DECIMAL] = _DECIMAL
            return {"$ref": f"{self._refs}{DECIMAL}"}
        if kind is Any:
            return {}
        if is_typeddict(kind):
            return self._reference(kind)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"type": "string", "enum": [member.value for member in kind]}
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return {**self.of(arguments[0]), "description": arguments[1]}
        if origin is Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(each) for each in arguments]}
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        raise TypeError(f"{kind!r} has no JSON Schema")

    def _reference(self, kind: type) -> Schema:
        name = f"{kind.__name__}{SUFFIX}"
        if self._types.setdefault(name, kind) is not kind:
            raise TypeError(f"two types are called {name}")
        if name not in self.by_name:
            self.by_name[name] = {}  # now, or a type that holds itself would not end
            self.by_name[name] = self._object(kind)
        return {"$ref": f"{self._refs}{name}"}

    def _object(self, kind: Any) -> Schema:
        hints = get_type_hints(kind, include_extras=True)
        schema: Schema = {"type": "object"}
        if kind.__doc__:
            schema["description"] = inspect.cleandoc(kind.__doc__)
        schema["properties"] = {name: self.of(_value(hint)) for name, hint in hints.items()}
        schema["required"] = [name for name in hints if name in kind.__required_keys__]
        if self._closed:
            schema["additionalProperties"] = False
        return schema


def _value(hint: Any) -> Any:
    """Without what says whether the key must be there: `__required_keys__` tells that."""
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint
