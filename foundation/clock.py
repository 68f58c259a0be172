"""Database time: one clock for all machines, used for leases, due rows, rate limits and silence.

Market time is another clock and comes with the data (`MarketSnapshot.as_of`).

A machine's own clock may be seconds off. Where it has to serve (a message says until when it is of use), it is
corrected by what the last exchange with the database has shown.
"""

import time
from datetime import UTC, datetime

import structlog
from django.db import Error, connection

from foundation.core.clocks import certainly_ahead
from foundation.loading import selected

log = structlog.get_logger(__name__)
OFF_SECONDS = 1.0
COMPARE_SECONDS = 2.0
TOLD_SECONDS = 60.0


def database_now() -> datetime:
    """The wall clock of PostgreSQL now, aware; it moves on within a transaction."""
    ((now,),) = selected("SELECT clock_timestamp()")
    assert isinstance(now, datetime)
    return now


class OwnClock:
    """What this process knows of its machine's clock. `ahead_seconds`: of the database's at least; below 0: behind;
    None: they were never compared."""

    def __init__(self) -> None:
        self.ahead_seconds: float | None = None
        self._next_comparison = 0.0
        self._next_telling = 0.0

    def note(self, *, before: float, after: float, theirs: float) -> None:
        """The database has read its clock between the two moments of one's own."""
        self.ahead_seconds = certainly_ahead(before=before, after=after, theirs=theirs)
        now = time.monotonic()
        self._next_comparison = now + COMPARE_SECONDS
        if abs(self.ahead_seconds) > OFF_SECONDS and now >= self._next_telling:
            self._next_telling = now + TOLD_SECONDS
            log.warning("clock_off", ahead_seconds=round(self.ahead_seconds, 1), cure="set it by NTP")

    def compare_if_due(self) -> None:
        """At most every few seconds, and never within somebody's transaction. Without the database what was
        known before goes on to be."""
        now = time.monotonic()
        if now < self._next_comparison or connection.in_atomic_block:
            return
        self._next_comparison = now + COMPARE_SECONDS
        try:
            before = time.time()
            theirs = database_now().timestamp()
            self.note(before=before, after=time.time(), theirs=theirs)
        except Error as error:
            log.warning("clock_not_compared", error=str(error).strip())

    def database_time(self) -> datetime:
        """By one's own clock, corrected: no question to the database but now and then."""
        self.compare_if_due()
        return datetime.fromtimestamp(time.time() - (self.ahead_seconds or 0.0), UTC)


OWN_CLOCK = OwnClock()
