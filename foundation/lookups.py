"""`field__within=values`: what `__in` asks, as one array (`= ANY`) in place of a parameter for each value.

With hundreds of values most of an `__in` query's time goes into its parameters, in Django and in psycopg. The values
are of the column's own type already; no subqueries.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Lookup
from django.db.models.fields.related import ForeignObject
from django.db.models.sql.compiler import SQLCompiler

from foundation.arrays import array_text


class Within(Lookup):
    lookup_name = "within"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, parameters = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.db_type(connection).split("(")[0]  # no length: a cast to it would cut
        values = array_text(self.rhs) if kind in ("uuid", "bigint") else list(self.rhs)
        return f"{column} = ANY(%s::{kind}[])", (*parameters, values)


def register() -> None:
    for kind in (Field, ForeignObject):  # a foreign key looks up no others
        kind.register_lookup(Within)
