"""New rows by COPY: what `bulk_create` does for rows whose numbers nobody needs afterwards, at a fraction of the cost.

Constraints, triggers and defaults hold as with INSERT. Of an INSERT of many rows most of the time goes into one
statement's text and into instances, and an order writes a dozen rows. A COPY, however, is never prepared and takes two
trips to the server: a few rows go there sooner by one prepared INSERT.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault
from psycopg import sql

from foundation.core.canonical import utc_text
from foundation.loading import carried_out

Row = TypeVar("Row", bound=models.Model)
Reader = Callable[[models.Model], Any]
# So many rows at most; for each number of them there is a statement.
FEW = 8


class StoredJson(str):
    """JSON that is text already: it is stored as it stands."""

    __slots__ = ()


def copy_values(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows given as values of these attributes (`portfolio_id`, …), each in the column's own type; JSON as text.

    What is not named gets the database's default. Raises what an INSERT raises (IntegrityError, DataError, …).
    """
    _copy(model, names, list(zip(*rows, strict=True)))


def _copy(model: type[models.Model], names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    if not columns or not columns[0]:
        return
    if len(columns[0]) <= FEW:
        rows = list(zip(*columns, strict=True))
        carried_out([(_insertion(model, tuple(names), len(rows)), tuple(map(_text, chain(*rows))))])
        return
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(_statement(model, tuple(names))) as copy,
    ):
        write = copy.write_row
        for row in zip(*map(_as_text, columns), strict=True):
            write(row)


def _as_text(column: Sequence[Any]) -> Sequence[Any]:
    """The same column, its keys and times as text: psycopg asks Python for the text of each of them by itself, which
    takes longer than all others of the row together."""
    kinds = set(map(type, column))
    if UUID in kinds:
        return [f"{value.int:032x}" if isinstance(value, UUID) else value for value in column]
    if datetime in kinds:
        return [utc_text(value) if isinstance(value, datetime) else value for value in column]
    return column


def _text(value: Any) -> Any:
    """A parameter whose type is its column's: psycopg would name the types of these by the value, an integer's even by
    its size, and to the server it would be another statement each time, which it has not prepared."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return f"{value.int:032x}"
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, int | float | Decimal):
        return str(value)
    return value


@cache
def _statement(model: type[models.Model], names: tuple[str, ...]) -> str:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(*_target(model, names)).as_string()


@cache
def _insertion(model: type[models.Model], names: tuple[str, ...], count: int) -> str:
    row = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(names)))
    rows = sql.SQL(", ").join([row] * count)
    return sql.SQL("INSERT INTO {} ({}) VALUES {}").format(*_target(model, names), rows).as_string()


def _target(model: type[models.Model], names: Sequence[str]) -> tuple[sql.Composable, sql.Composable]:
    columns = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    chosen: list[sql.Composable] = [sql.Identifier(columns[name]) for name in names]
    return sql.Identifier(model._meta.db_table), sql.SQL(", ").join(chosen)


def copy_in(rows: Iterable[Row]) -> None:
    """Insert unsaved rows of one model. Raises what an INSERT raises.

    Rows get no primary key from the database back. A column whose default the database gives is left to it, if none
    of the rows has a value of its own; where only some do, ValueError.
    """
    given = list(rows)
    if not given:
        return
    model = type(given[0])
    chosen = [(field, read) for field, read in _columns(model) if not _left_to_database(field, given)]
    _copy(model, [field.attname for field, _ in chosen], [[read(row) for row in given] for _, read in chosen])


@cache
def _columns(model: type[models.Model]) -> "list[tuple[models.Field[Any, Any], Reader]]":
    return [(field, _reader(field)) for field in model._meta.concrete_fields if not field.generated]


def _reader(field: "models.Field[Any, Any]") -> Reader:
    """What is written of the field: its attribute as it stands, where psycopg knows the type by itself."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return lambda row: field.pre_save(row, add=True)
    name = field.attname
    if isinstance(field, models.JSONField | models.BinaryField):
        return lambda row: field.get_db_prep_save(getattr(row, name), connection)
    return lambda row: row.__dict__[name]


def _left_to_database(field: "models.Field[Any, Any]", rows: Sequence[models.Model]) -> bool:
    """Whether the column is to get the database's own value: a number of a sequence, a default."""
    automatic = isinstance(field, models.AutoField | models.BigAutoField)
    if not automatic and not field.has_db_default():
        return False
    mine = [row.__dict__[field.attname] for row in rows]
    absent = [value is None if automatic else isinstance(value, DatabaseDefault) for value in mine]
    if all(absent):
        return True
    if any(absent):
        raise ValueError(f"{field.name}: some rows have a value and others leave it to the database")
    return False
