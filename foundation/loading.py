"""Instances of many rows, without Django's constructor: it spends more on each than the query does.

The rows are whole (every column), and of the default database. No signal tells of them; nobody listens to any.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.base import ModelState

Row = TypeVar("Row", bound=models.Model)


def load(rows: "models.QuerySet[Row]") -> list[Row]:
    """The rows of a query, as `list(rows)` gives them."""
    model = rows.model
    names = [field.attname for field in model._meta.concrete_fields]
    found = []
    for values in rows.values_list(*names):
        row = model.__new__(model)
        row.__dict__.update(zip(names, values, strict=True))
        row._state = state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        found.append(row)
    return found


def new(model: type[Row], *, related: Mapping[str, models.Model | None] | None = None, **values: Any) -> Row:
    """An unsaved row, as `model(**values)` makes it: of these attributes (`portfolio_id`, …), the others with their
    defaults; `related` are rows that foreign keys point at. Raises TypeError for a name that it does not have."""
    fixed, made = _defaults(model)
    row = model.__new__(model)
    row._state = state = ModelState()
    if related:
        for name, pointed_at in related.items():
            values[_foreign_key(model, name).attname] = pointed_at.pk if pointed_at is not None else None
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


def attach(rows: Sequence[models.Model], *names: str) -> None:
    """Give rows of one model what these foreign keys of theirs point at: a query for each key, and one instance for
    all rows that share it, where `select_related` makes one for each of them."""
    for name in names if rows else ():
        key = _foreign_key(type(rows[0]), name)
        ids = {getattr(row, key.attname) for row in rows} - {None}
        pointed_at = load(key.related_model._default_manager.filter(pk__within=ids)) if ids else []
        found = {row.pk: row for row in pointed_at}
        for row in rows:
            row._state.fields_cache[name] = found.get(getattr(row, key.attname))


def _foreign_key(model: type[models.Model], name: str) -> "models.ForeignKey[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, models.ForeignKey)
    return field
