"""Columns of many rows as arrays: what a query aggregates by `column_sql`, without a Python object for each value.

A column goes over as PostgreSQL's binary form of an array of one fixed width: NumPy reads it as it stands.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEAD_BYTES = 20  # dimensions, flags, type; length and lower bound of the only dimension
_KINDS = {"float8": ">f8", "bigint": ">i8", "timestamptz": ">i8"}
_2000 = 946_684_800_000_000
NEVER = np.iinfo(np.int64).min  # -infinity, as PostgreSQL sends it


def column_sql(expression: str, kind: str = "float8") -> str:
    """An aggregate of an SQL expression of ours that is never NULL, in the order of the rows.

    kind: float8, bigint or timestamptz.
    """
    assert kind in _KINDS
    return f"array_send(array_agg(({expression})::{kind}))"


def column(raw: bytes | None, kind: str = "float8") -> NDArray[Any]:
    """What `column_sql` gave, in this machine's byte order: float64, or int64; None stands for no rows. Times are in
    microseconds since 1970, -infinity is NEVER."""
    element = np.dtype([("width", ">i4"), ("value", _KINDS[kind])])
    native = element["value"].newbyteorder("=")
    if raw is None:
        return np.empty(0, dtype=native)
    values = np.frombuffer(raw, dtype=element, offset=_HEAD_BYTES)["value"].astype(native)
    return np.where(values == NEVER, NEVER, values + _2000) if kind == "timestamptz" else values
