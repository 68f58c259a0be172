"""The other floor: the very rows that batches have written, by bare COPY into tables like ours, a transaction a stage.

What a batch changes rather than adds (portfolios, positions, trades' states, the heads of streams) and what it removes
again (reservations) is left out, which makes the floor only faster.
"""

import os
import time
from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import sql

# Of each stage, the tables in the order in which they are written, with the column that says when a row was.
PLACED = (("trading_decision", "created_at"), ("auto_trades", "created_at"), ("trading_ordermessage", "at"))
FILLED = (("trading_execution", "created_at"), ("ledger_transfers", "created_at"))
ENTRIES = ("journal_entries", "recorded_at")
STAGES = ((*PLACED, ENTRIES), (*FILLED, ENTRIES))
# Which of a batch's events belong to the second stage.
_OF_FILLS = "kind IN ('trade.filled', 'position.changed', 'protection.set', 'protection.removed')"


class Copies:
    """Empty tables with our columns, checks and indexes, written by the database's owner."""

    def __init__(self) -> None:
        self._connection = psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)
        for table in {table for stage in STAGES for table, _ in stage}:
            names = {"bare": sql.Identifier(f"bare_{table}"), "table": sql.Identifier(table)}
            self._connection.execute(
                sql.SQL("CREATE TABLE {bare} (LIKE {table} INCLUDING ALL)").format(**names)
            )

    def close(self) -> None:
        self._connection.close()

    def now(self) -> datetime:
        row = self._connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        return row[0]

    def rows_since(self, since: datetime) -> list[list[tuple[str, bytes]]]:
        """Of each stage, the tables and their rows as COPY writes them."""
        return [
            [(table, self._read(table, column, since, stage)) for table, column in tables]
            for stage, tables in enumerate(STAGES)
        ]

    def _read(self, table: str, column: str, since: datetime, stage: int) -> bytes:
        where = sql.SQL("{} >= {}").format(sql.Identifier(column), sql.Literal(since))
        if table == ENTRIES[0]:
            where += sql.SQL(f" AND {'' if stage else 'NOT '}({_OF_FILLS})")
        query = sql.SQL("COPY (SELECT * FROM {} WHERE {}) TO STDOUT").format(sql.Identifier(table), where)
        with self._connection.cursor().copy(query) as copy:
            rows = b"".join(copy)
        assert rows, f"the batch wrote nothing to {table}"
        return rows

    def write(self, stages: Sequence[Sequence[tuple[str, bytes]]]) -> float:
        """The seconds that it took."""
        start = time.perf_counter()
        for tables in stages:
            with self._connection.transaction():
                for table, rows in tables:
                    query = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(f"bare_{table}"))
                    with self._connection.cursor().copy(query) as copy:
                        copy.write(rows)
        return time.perf_counter() - start
