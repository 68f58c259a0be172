"""One process evaluates every slice of each tick as the worker's task does: `evaluate_next_slice` until none is due."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection, transaction

from benchmarks.figure import Figure
from benchmarks.sessions.world import POSITIONS, RULES, SYMBOLS, World
from foundation.moments import present_moment
from market.services import snapshots
from sessions.core.parts import Arc
from sessions.models import EvaluationRun
from sessions.services.slices import claim_due_slice, record_run
from trading.services.auto_trading import FailedSlice, evaluate_next_slice

SESSIONS = int(os.environ.get("BENCH_SESSIONS", "100000"))
RUNS = 5
WARM_UP_TICKS = 3


@dataclass
class Ticks:
    """What one process did with some ticks."""

    seconds: list[float] = field(default_factory=list)
    triggered: int = 0
    trades: int = 0
    rules: int = 0
    peaks: list[int] = field(default_factory=list)
    """noted until then"""

    def run(self, world: World, *, sessions: int) -> None:
        """One tick, timed from its first slice to its last."""
        world.tick()
        done: list[EvaluationRun] = []
        begin = time.perf_counter()
        while (run := evaluate_next_slice()) is not None:
            assert not isinstance(run, FailedSlice), run
            done.append(run)
        self.seconds.append(time.perf_counter() - begin)
        assert sum(run.sessions for run in done) == sessions, "every session, once"
        self.triggered += sum(run.triggered for run in done)
        self.trades += sum(run.trades for run in done)
        self.rules += sum(run.rules for run in done)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM portfolios_pastpositionmark")
            self.peaks.append(cursor.fetchone()[0])


def measure() -> Iterator[Figure]:
    world = World.make(seed=1)
    half = SESSIONS // 2
    world.open_sessions(half, seed=1)
    before = evaluate(world, sessions=half)
    world.open_sessions(SESSIONS - half, seed=2)
    after = evaluate(world, sessions=SESSIONS)
    floor = _bare_sessions_per_second(world)
    share = after.triggered / SESSIONS / RUNS
    risen = (after.peaks[-1] - after.peaks[0]) / (RUNS - 1) / SESSIONS / POSITIONS
    assert 0.005 < risen < 0.05, risen
    assert after.rules == RULES * SESSIONS * RUNS and 0.0003 < share < 0.003, share
    assert 0 < after.trades <= after.triggered
    notes = (
        f"one process; {SESSIONS} sessions, {RULES} rules of their own and {POSITIONS} positions each, "
        f"{SYMBOLS} symbols, all prices moved; {risen:.1%} of the positions at a new high, {share:.2%} triggered, "
        f"{after.trades} trades in {RUNS} ticks; "
        f"a tick takes {statistics.median(after.seconds):.2f} s; {_megabytes()} MB; fsync on"
    )
    yield Figure(
        "sessions.idle", round(SESSIONS / statistics.median(after.seconds)), "sessions/s", round(floor),
        "the same slices claimed, their runs recorded, committed; nothing evaluated", n=RUNS, notes=notes,
    )  # fmt: skip
    yield Figure(
        "sessions.growth", round(statistics.median(after.seconds) / statistics.median(before.seconds), 3), "×", 2.0,
        f"time of a tick with {SESSIONS} sessions against {half}", n=RUNS, notes="the sessions are doubled",
    )  # fmt: skip


def evaluate(world: World, *, sessions: int) -> Ticks:
    warm_up = Ticks()
    for _ in range(WARM_UP_TICKS):
        warm_up.run(world, sessions=sessions)
    ticks = Ticks()
    for _ in range(RUNS):
        ticks.run(world, sessions=sessions)
    return ticks


def _bare_sessions_per_second(world: World) -> float:
    """Sessions of the slices that could be claimed and recorded in a second."""
    world.tick()
    snapshot = snapshots.current()
    assert snapshot is not None
    slices = 0
    begin = time.perf_counter()
    while True:
        with transaction.atomic():
            claimed = claim_due_slice(version=snapshot.version)
            if claimed is None:
                break
            at, seen = present_moment()
            record_run(
                claimed, snapshot=snapshot, part=Arc(), sessions=0, rules=0, triggered=0, trades=0,
                facts_at=at, facts_seen=seen,
            )  # fmt: skip
        slices += 1
    seconds = time.perf_counter() - begin
    connection.close()
    return SESSIONS / seconds


def _megabytes() -> int:
    """Of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
