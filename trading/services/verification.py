"""What the books say, recomputed from what never changes: ledger transfers, executions, and the journal's chains.

Everything that is a sum is compared in SQL (`verification_queries.py`); what depends on the order of the entries,
such as cost and realised profit, is replayed (`replaying.py`); the journal's hash chains are walked.
"""

from collections.abc import Iterator

from django.db import connection

from journal.models import Stream
from journal.selectors import verify_stream
from trading.services.replaying import one_snapshot, replay_differences
from trading.services.verification_queries import CHECKS

REPLAY, CHAINS = "the ledger replayed", "the journal's chains hold"


def book_differences() -> list[str]:
    """One line for each difference, named by the check that found it; empty when the books are right."""
    lines = []
    for name, query in CHECKS.items():
        with one_snapshot(), connection.cursor() as cursor:
            cursor.execute(query, [])
            lines += [f"{name}: {row[0]}" for row in cursor.fetchall()]
    lines += [f"{REPLAY}: {line}" for line in replay_differences()]
    lines += [f"{CHAINS}: {line}" for line in _broken_chains()]
    return lines


def _broken_chains() -> Iterator[str]:
    for stream_id in Stream.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=1000):
        _, broken = verify_stream(stream_id)
        if broken is not None:
            yield f"stream {stream_id}: {broken.reason}"
