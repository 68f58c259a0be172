"""Columns of many rows as parameters of one statement."""

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID


def array_text(values: Iterable[UUID | int | Decimal | None]) -> str:
    """The values as PostgreSQL writes an array of them, for a parameter with a cast (`%s::uuid[]`).

    psycopg asks each element of a list for its type and its quotes, which takes several times as long. Nothing here
    has any: no text, and no time.
    """
    return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
