"""Queries that see the database at one moment, for who adds up what several of them say.

By itself each query sees what was committed when it began. Between two of them a fill may commit, and what was cash in
the first answer is a position in the second: the sum has the same money twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def repeatable_read() -> Iterator[None]:
    """What is read within is of one moment; nothing can be written, and nothing waits. Inside a transaction the caller
    has chosen already, and it changes nothing."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
