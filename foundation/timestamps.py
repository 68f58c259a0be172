"""PostgreSQL's timestamps read by Python's own parser: Django's goes through a regular expression, which takes longer
than all else that is read of an order. And each text once: rows of one transaction or one snapshot have the same."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import TIMESTAMPTZ_OID
from django.db.backends.postgresql.psycopg_any import BaseTzLoader

KEPT = 16_384


def read_fast(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """For the signal `connection_created`: the same values as before, in the zone of the connection."""

    zone, parsed = connection.timezone, datetime.fromisoformat

    class Slow(BaseTzLoader):
        timezone = zone

    slow = Slow(TIMESTAMPTZ_OID, connection.connection)

    @lru_cache(maxsize=KEPT)
    def read(data: bytes) -> datetime:
        try:
            moment = parsed(str(data, "ascii"))
        except ValueError:  # what ISO 8601 does not know, such as infinity or a year before Christ
            return slow.load(data)
        return moment if moment.tzinfo is zone else moment.astimezone(zone)

    class Loader(Slow):
        def load(self, data: Any) -> datetime:
            """What psycopg gives is a view of the whole answer of the server; kept as a key it would keep that."""
            return read(bytes(data))

    connection.connection.adapters.register_loader("timestamptz", Loader)
