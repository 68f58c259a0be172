"""Columns of many rows as parameters of one statement."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any
from uuid import UUID

from foundation.core.canonical import utc_text, uuid_text


def array_text(values: Iterable[UUID | int | Decimal | datetime | str | None]) -> str:
    """The values as PostgreSQL writes an array of them, for a parameter with a cast (`%s::uuid[]`).

    psycopg asks each element of a list for its type and its quotes, which takes several times as long.
    """
    return f"{{{','.join([_writer(type(value))(value) for value in values])}}}"  # type: ignore[arg-type]


@cache
def _writer(kind: type) -> Callable[[Any], str]:
    if kind is NoneType:
        return lambda _: "NULL"
    if issubclass(kind, UUID):
        return uuid_text
    if issubclass(kind, datetime):
        return utc_text
    return _quoted if issubclass(kind, str) else str


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
