"""What has changed of portfolios since somebody last looked: for who keeps in his process what they own.

Rows are told apart by PostgreSQL's own snapshots, for a time or a number says when something was written, and not when
others saw it: what is seen now and was not seen at the last look is told, once.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foundation.arrays import array_text
from foundation.loading import selected

KEEP_MINUTES = 10
LOOKED_SECONDS_MAX = 300.0  # who has not looked for longer keeps nothing


@dataclass(frozen=True, slots=True)
class Look:
    """A look of a transaction that writes: `transaction` is its number. `connection` names the server's process and
    its database: what was seen over another one cannot be compared. `at` is database time."""

    snapshot: str
    transaction: int
    connection: tuple[Any, ...]
    at: datetime

    @property
    def oldest(self) -> int:
        """Transactions before this one are seen, if they have committed."""
        return int(self.snapshot.partition(":")[0])


_LOOK = """
    SELECT pg_current_snapshot()::text, pg_current_xact_id()::text::bigint, pg_backend_pid(),
        pg_postmaster_start_time(), (SELECT oid FROM pg_database WHERE datname = current_database()), clock_timestamp()
"""
# Numbers that no transaction has had yet come from a dump of another server. A snapshot does not list the number of its
# own transaction, which counts as seen in it once a younger one has ended: what was written after the look has to be
# asked for by that number.
_CHANGES = f"""
    SELECT looked.*, t.portfolio_ids FROM ({_LOOK}) AS looked LEFT JOIN portfolios_portfoliochange AS t
        ON t.written_by >= %(oldest)s
        AND (t.written_by = %(last)s OR NOT pg_visible_in_snapshot(t.written_by::text::xid8, %(snapshot)s))
        AND t.written_by <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        AND NOT (t.is_mark AND t.written_by = ANY(%(own)s::bigint[]))
"""  # noqa: S608 - the text above


def first_look() -> Look:
    """Where somebody begins who keeps nothing yet. One query, in a transaction that writes: it is given a number."""
    return _look(selected(_LOOK)[0])


def look_again(last: Look, *, own: Collection[int]) -> tuple[Look, Sequence[Sequence[uuid.UUID]]]:
    """This look, and the portfolios of each statement that was not seen at the last one. One query, as the first.

    Left out are marks of transactions of one's own: what became of them their writer knows.
    """
    given = {
        "oldest": last.oldest,
        "last": last.transaction,
        "snapshot": last.snapshot,
        "own": array_text(own),
    }
    rows = selected(_CHANGES, given)
    return _look(rows[0][:-1]), [row[-1] for row in rows if row[-1] is not None]


def _look(row: Sequence[Any]) -> Look:
    snapshot, transaction, *connection, at = row
    return Look(snapshot, transaction, tuple(connection), at)
