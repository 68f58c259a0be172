"""What was committed, or began to be sent, while a drained halt said that nothing must.

PostgreSQL keeps the time of every commit (`track_commit_timestamp`), by the clock that `drained_at` and
`released_at` are of. So a fill counts by when it was *committed*, not by when its transaction began; and a send
also by when its trade was moved.
"""

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from trading.models import Halt


@dataclass(frozen=True)
class Stop:
    """Nothing in its scope may go out from `begin` to `end`, both included."""

    scope: str
    scope_id: str
    begin: datetime
    end: datetime

    def covers(self, movement: "Movement") -> bool:
        if self.scope == Halt.Scope.PLATFORM:
            return True
        mine = {Halt.Scope.PORTFOLIO: str(movement.portfolio_id), Halt.Scope.SYMBOL: movement.symbol}
        return mine[Halt.Scope(self.scope)] == self.scope_id


@dataclass(frozen=True)
class Movement:
    """A trade was filled, or went out to its broker, at `at`."""

    trade_id: uuid.UUID
    portfolio_id: uuid.UUID
    symbol: str
    at: datetime


def moved_within(stops: Iterable[Stop], movements: Iterable[Movement]) -> list[set[uuid.UUID]]:
    """For each stop the trades in its scope that moved while it lasted."""
    ordered = sorted(movements, key=lambda movement: movement.at)
    times = [movement.at for movement in ordered]
    return [
        {
            movement.trade_id
            for movement in ordered[bisect_left(times, stop.begin) : bisect_right(times, stop.end)]
            if stop.covers(movement)
        }
        for stop in stops
    ]


_MOVEMENTS = """
    SELECT t.id, t.portfolio_id, t.symbol, pg_xact_commit_timestamp(e.xmin)
    FROM trading_execution AS e JOIN auto_trades AS t ON t.id = e.trade_id
    UNION ALL
    SELECT t.id, t.portfolio_id, t.symbol, moved.at
    FROM auto_trades AS t, LATERAL (VALUES (pg_xact_commit_timestamp(t.xmin)), (t.updated_at)) AS moved (at)
    WHERE t.status NOT IN ('pending', 'cancelled', 'rejected', 'expired')
"""


def read_movements() -> list[Movement]:
    """Every fill and every send that is committed."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVEMENTS)
        return [Movement(*row) for row in cursor.fetchall()]


def stop_of(halt: Halt) -> Stop:
    """From drained to released."""
    assert halt.drained_at is not None and halt.released_at is not None
    return Stop(halt.scope, halt.scope_id, halt.drained_at, halt.released_at)


def just_before(halt: Halt) -> Stop:
    """As long as the stop was, up to its arming: what would have gone out if nobody had stopped it."""
    assert halt.drained_at is not None and halt.released_at is not None
    return Stop(
        halt.scope, halt.scope_id, halt.armed_at - (halt.released_at - halt.drained_at), halt.armed_at
    )


def filled_in(halt: Halt, *, trades_since: datetime) -> set[uuid.UUID]:
    """The trades in the scope, made since then, that have gone out as far as anybody can see now."""
    where = {
        Halt.Scope.PLATFORM: "",
        Halt.Scope.PORTFOLIO: "AND portfolio_id = %(scope_id)s::uuid",
        Halt.Scope.SYMBOL: "AND symbol = %(scope_id)s",
    }[Halt.Scope(halt.scope)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM auto_trades WHERE created_at > %(since)s"  # noqa: S608  one of three texts of ours
            f" AND status NOT IN ('pending', 'cancelled', 'rejected', 'expired') {where}",
            {"since": trades_since, "scope_id": halt.scope_id},
        )
        return {row[0] for row in cursor.fetchall()}


def came_late(before: set[uuid.UUID], after: set[uuid.UUID]) -> set[uuid.UUID]:
    """Of two looks while it is drained, what only the second saw."""
    return after - before


def late_trades(halts: Sequence[Halt]) -> set[uuid.UUID]:
    """Every trade that moved while one of these halts, all released by now, was drained."""
    return set().union(*moved_within(map(stop_of, halts), read_movements()))
