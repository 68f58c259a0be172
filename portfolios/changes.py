"""What has changed of portfolios since somebody last looked: for who keeps in his process what they own.

Rows are told apart by transaction, for a time or a number says when something was written, and not when others saw it.
Who looks learns how far back he has to look next: to the oldest transaction that was still at work. So a row may be
told twice, and none is left out.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from foundation.loading import selected

KEEP_MINUTES = 30
LOOKED_SECONDS_MAX = 600.0  # who has not looked for longer keeps nothing


@dataclass(frozen=True, slots=True)
class Change:
    """`own`: of the transaction that looks."""

    id: int
    portfolio_ids: Sequence[uuid.UUID]
    is_mark: bool
    transaction: int


@dataclass(frozen=True, slots=True)
class Changes:
    """`next_since` is where to go on; `transaction` the number of the one that looks."""

    rows: Sequence[Change]
    next_since: int
    transaction: int


_CHANGES = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint,
        t.id, t.portfolio_ids, t.is_mark, t.written_by
    FROM (SELECT) AS looked LEFT JOIN portfolios_portfoliochange AS t ON t.written_by >= %s
    ORDER BY t.id
"""


def changes_since(since: int) -> Changes:
    """What was seen to change in transactions from this number on. One query, in a transaction that writes: it is
    given a number."""
    rows = selected(_CHANGES, [since])
    next_since, transaction = rows[0][:2]
    return Changes([Change(*row[2:]) for row in rows if row[2] is not None], next_since, transaction)


def no_changes_yet() -> Changes:
    """Where somebody begins who keeps nothing yet."""
    ((next_since, transaction),) = selected(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint"
    )
    return Changes((), next_since, transaction)
