"""What the tables tell of those who are killed, over a connection of its own; nothing while the database is away."""

import socket
import uuid
from collections.abc import Sequence

import psycopg

from trading.core.order_states import OPEN


class Rows:
    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def in_hand(self, pids: Sequence[int]) -> tuple[uuid.UUID, ...]:
        """Trades that are claimed by these processes."""
        names = [f"{socket.gethostname()}:{pid}" for pid in pids]
        rows = self._read(
            "SELECT id FROM auto_trades WHERE claimed_by = ANY(%s) AND status IN "
            "('submitting', 'cancelling', 'unknown') AND claimed_until > clock_timestamp()",
            [names],
        )
        return tuple(row[0] for row in rows)  # type: ignore[misc]

    def has_open(self, account_id: uuid.UUID) -> bool:
        """Whether the account has an order that has not ended."""
        rows = self._read(
            "SELECT 1 FROM auto_trades WHERE account_id = %s AND status = ANY(%s) LIMIT 1",
            [account_id, [str(state) for state in OPEN]],
        )
        return bool(rows)

    def made_next(self, slice_id: int, since: float) -> int | None:
        """How many trades the first evaluation of a slice made that began after that time; None: there was none yet."""
        rows = self._read(
            "SELECT trades FROM trading_sessions_evaluationrun WHERE slice_id = %s "
            "AND created_at > to_timestamp(%s) ORDER BY id LIMIT 1",
            [slice_id, since],
        )
        return int(str(rows[0][0])) if rows else None

    def forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, query: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._database_url, autocommit=True, connect_timeout=2)
            return self._connection.execute(query, values).fetchall()
        except psycopg.Error:
            self.forget_connection()
            return []
