"""What could be seen at a moment that is over: by database time, and where that is not enough by transaction.

A row bears the time at which it was written, and is seen by others once its transaction has committed. Who asks later
what somebody saw at 14:32:07.120 is told wrongly by time alone of what was being committed just then — which for an
evaluation is nothing rare, for what the last tick ordered is filled while this tick is evaluated. So rows of which that
matters bear their transaction, too, and who reads notes PostgreSQL's own snapshot: it tells both apart exactly.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models

# No transaction of ours takes so long: what was written longer before a moment had committed by then, and transactions
# need not be compared. So a restored dump, whose numbers are of another server, is no matter after so long.
LONGEST_TRANSACTION = "10 minutes"


class WritingTransaction(models.Func):
    """The number of the transaction that writes a row, as the default of a column."""

    template = "(pg_current_xact_id()::text)::bigint"
    output_field = models.BigIntegerField()


@dataclass(frozen=True)
class Moment:
    """`at` is database time. `seen` is `pg_current_snapshot` of then, None where nobody noted it: then time decides.
    `own` is the number of the transaction that looked, which has seen what it had written itself."""

    at: datetime
    seen: str | None = None
    own: int | None = None

    @property
    def params(self) -> dict[str, Any]:
        """For SQL with `was_seen` in it."""
        return {"moment": self.at, "seen": self.seen, "own": self.own}


def present_moment() -> tuple[datetime, str]:
    """Database time and the snapshot of this statement: what is read next sees that, and maybe a little more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), pg_current_snapshot()::text")
        at, seen = cursor.fetchone()
    return at, seen


def was_seen(written_at: str, transaction: str) -> str:
    """SQL: whether what was written then, in that transaction (columns; a NULL time was never), was seen at the moment.
    Its parameters are `Moment.params`."""
    return f"""(coalesce({written_at} < %(moment)s, false) AND (
        {written_at} < %(moment)s - interval '{LONGEST_TRANSACTION}' OR {transaction} IS NULL
        OR %(seen)s::pg_snapshot IS NULL OR {transaction} = %(own)s::bigint
        OR pg_visible_in_snapshot({transaction}::text::xid8, %(seen)s::pg_snapshot)))"""
