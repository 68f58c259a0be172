"""PostgreSQL's timestamps read by Python's own parser: Django's goes through a regular expression, which takes longer
than all else that is read of an order."""

from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import BaseTzLoader


def read_fast(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """For the signal `connection_created`: the same values as before, in the zone of the connection."""

    zone, parsed = connection.timezone, datetime.fromisoformat

    class Loader(BaseTzLoader):
        timezone = zone

        def load(self, data: Any) -> datetime:
            try:
                moment = parsed(str(data, "ascii"))
            except ValueError:  # what ISO 8601 does not know, such as infinity or a year before Christ
                return super().load(data)
            return moment if moment.tzinfo is zone else moment.astimezone(zone)

    connection.connection.adapters.register_loader("timestamptz", Loader)
