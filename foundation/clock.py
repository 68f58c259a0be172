"""Database time: one clock for all machines, used for leases, due rows, rate limits and silence.

Market time is another clock and comes with the data (`MarketSnapshot.as_of`).
"""

from datetime import datetime

from foundation.loading import selected


def database_now() -> datetime:
    """The wall clock of PostgreSQL now, aware; it moves on within a transaction."""
    ((now,),) = selected("SELECT clock_timestamp()")
    assert isinstance(now, datetime)
    return now
