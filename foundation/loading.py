"""Instances of many rows, without Django's constructor: it spends more on each than the query does.

The rows are whole (every column), saved, and of the default database. No signal tells of them; nobody listens to any.
"""

from typing import TypeVar

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
