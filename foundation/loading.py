"""Instances of many rows, without Django's constructor: it spends more on each than the query does. And, where each
tick asks the same, without its query builder: it spends more on a small query than the server does.

The rows are whole (every column), and of the default database. No signal tells of them; nobody listens to any.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.base import ModelState
from psycopg import Cursor

Row = TypeVar("Row", bound=models.Model)
Joined = TypeVar("Joined", bound=models.Model)


def load(rows: "models.QuerySet[Row]") -> list[Row]:
    """The rows of a query, as `list(rows)` gives them."""
    model = rows.model
    names = _names(model)
    return [_made(model, names, values) for values in rows.values_list(*names)]


@cache
def columns_of(model: type[models.Model], alias: str) -> str:
    """Every column of a table, as the functions below want them selected."""
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


def load_where(model: type[Row], condition: str, params: Sequence[Any] = ()) -> list[Row]:
    """The rows `t` of a table for which an SQL condition of ours holds; an order, a limit or a lock may follow it."""
    return rows_of(model, selected(*where(model, condition, params)))


def where(model: type[models.Model], condition: str, params: Sequence[Any] = ()) -> tuple[str, Sequence[Any]]:
    """The query of `load_where`, for who asks it together with others; `rows_of` makes rows of what it gives."""
    table = model._meta.db_table
    return f"SELECT {columns_of(model, 't')} FROM {table} AS t WHERE {condition}", params  # noqa: S608


def rows_of(model: type[Row], found: Iterable[Sequence[Any]]) -> list[Row]:
    names, converters = _names(model), _converters(model)
    if converters:
        found = [_converted(converters, values) for values in found]
    return [_made(model, names, values) for values in found]


def load_pairs(
    model: type[Row], joined: type[Joined], sql: str, params: Sequence[Any] = ()
) -> list[tuple[Row, Joined]]:
    """Rows of a query that selects the columns of one table, and then those of another."""
    width, found = len(model._meta.concrete_fields), selected(sql, params)
    ours, theirs = [values[:width] for values in found], [values[width:] for values in found]
    return list(zip(rows_of(model, ours), rows_of(joined, theirs), strict=True))


def selected(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """What a statement of ours gives, as PostgreSQL's types are in Python; nothing, where it gives no rows.

    It is prepared when it comes again (`prepare_threshold` in the settings), for to plan a small statement takes the
    server longer than to carry it out. So its text is to stay the same from call to call, and a parameter whose type
    the server cannot tell by its place has a cast.
    """
    (rows,) = carried_out([(sql, params)])
    return rows


def carried_out(
    queries: Sequence[tuple[str, Sequence[Any] | Mapping[str, Any]]],
) -> list[list[tuple[Any, ...]]]:
    """What several such statements give, carried out in this order and sent in one trip.

    By psycopg's own cursors: Django's wrappers around them take as long as a small statement itself. Where statements
    are logged or wrapped they do not go past that: one by one, with their parameters in their text.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.queries_logged or database.execute_wrappers:
        return [_plainly(database, *query) for query in queries]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    bare = database.connection
    with database.wrap_database_errors:
        cursors = [Cursor(bare) for _ in queries]
        with bare.pipeline() if len(queries) > 1 else nullcontext():
            for cursor, query in zip(cursors, queries, strict=True):
                cursor.execute(*query)
        return [_fetched(cursor) for cursor in cursors]


def _fetched(cursor: "Cursor[tuple[Any, ...]]") -> list[tuple[Any, ...]]:
    """Without asking for its `description`, which takes longer to make than most rows."""
    result = cursor.pgresult
    return cursor.fetchall() if result is not None and result.nfields else []


def _plainly(database: Any, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    return rows


@cache
def _converters(model: type[models.Model]) -> list[tuple[int, Callable[[Any], Any]]]:
    """What is stored otherwise than it is in Python (JSON), by its place among the columns."""
    return [
        (place, partial(_convert, convert))
        for place, field in enumerate(model._meta.concrete_fields)
        for convert in field.get_db_converters(connection)
    ]


def _convert(convert: Callable[..., Any], value: Any) -> Any:
    return convert(value, None, connection)


def _converted(converters: Iterable[tuple[int, Callable[[Any], Any]]], values: Sequence[Any]) -> list[Any]:
    converted = list(values)
    for place, convert in converters:
        converted[place] = convert(converted[place])
    return converted


@cache
def _names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _made(model: type[Row], names: Iterable[str], values: Iterable[Any]) -> Row:
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    return row


def new(model: type[Row], *, related: Mapping[str, models.Model | None] | None = None, **values: Any) -> Row:
    """An unsaved row, as `model(**values)` makes it: of these attributes (`portfolio_id`, …), the others with their
    defaults; `related` are rows that foreign keys point at. Raises TypeError for a name that it does not have."""
    fixed, made = _defaults(model)
    row = model.__new__(model)
    row._state = state = ModelState()
    if related:
        for name, pointed_at in related.items():
            values[foreign_key(model, name).attname] = pointed_at.pk if pointed_at is not None else None
            state.fields_cache[name] = pointed_at
    if not fixed.keys() >= values.keys():
        raise TypeError(f"{model.__name__} has no {', '.join(sorted(values.keys() - fixed.keys()))}")
    row.__dict__.update(fixed)
    row.__dict__.update(values)
    for name, make in made:
        if name not in values:
            row.__dict__[name] = make()
    return row


@cache
def _defaults(model: type[models.Model]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """Of each attribute the default, None where each row has one of its own; and who makes those."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    made = [
        (field.attname, field.default) for field in fields if callable(field.default) and field.has_default()
    ]
    own = {name for name, _ in made}
    return {f.attname: None if f.attname in own else f.get_default() for f in fields}, made


@cache
def foreign_key(model: type[models.Model], name: str) -> "models.ForeignKey[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, models.ForeignKey)
    return field
