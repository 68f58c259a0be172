"""One process evaluates tick after tick, then two do; a third looks each 5 ms what their connections wait for.

Times are the database's: from a snapshot's publication to the last run of its slot.
"""

import os
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

from django.db import connection

from benchmarks.figure import Figure
from benchmarks.servers import start_beside
from benchmarks.sessions.world import World
from foundation.loading import selected
from sessions.models import EvaluationRun
from trading.services.auto_trading import FailedSlice, evaluate_next_slice

SESSIONS = int(os.environ.get("BENCH_SCALE_SESSIONS", "20480"))
# A worker that joins compiles each slice when it first takes it, one or two a tick, as it takes them from the others.
RUNS, WARM_UP_TICKS = 7, 20
SAMPLE_SECONDS = 0.005
PAUSE_SECONDS = 0.01
WAIT_SECONDS_MAX = 300.0
NAME = "benchmark worker"


def work() -> None:
    """A worker's loop without Celery: evaluate what is due, look again soon."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", [NAME])
    while True:
        run = evaluate_next_slice()
        assert not isinstance(run, FailedSlice), run
        if run is None:
            time.sleep(PAUSE_SECONDS)


def measure() -> Iterator[Figure]:
    world = World.make(seed=1)
    world.open_sessions(SESSIONS, seed=1)
    workers: list[subprocess.Popen[bytes]] = []
    seconds: list[float] = []
    waits: Counter[str] = Counter()
    try:
        for _ in range(2):
            workers.append(start_beside("benchmarks.scale.workers"))
            for _ in range(WARM_UP_TICKS):
                _tick(world, workers)
            waits.clear()
            ticks = [_tick(world, workers, waits) for _ in range(RUNS)]
            seconds.append(statistics.median(ticks))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len(set(EvaluationRun.objects.values_list("worker", flat=True))) == 2, "both had work to do"
    one, two = (SESSIONS / each for each in seconds)
    looked = waits.total()
    notes = (
        f"{SESSIONS} sessions as in sessions.idle; {looked} looks at each of two workers' connections; waiting for: "
        f"{', '.join(f'{what} {count / looked:.1%}' for what, count in waits.most_common(5))}; "
        f"the third process and PostgreSQL run on the same {os.cpu_count()} cores"
    )
    yield Figure(
        "scale.lock_wait", round(waits["Lock"] / looked, 4), "of the time", 0.05, "the goal", n=looked, notes=notes
    )  # fmt: skip
    yield Figure(
        "scale.two_workers", round(two), "sessions/s", round(one), "one worker process", n=RUNS, notes=notes
    )  # fmt: skip


def _tick(world: World, workers: list["subprocess.Popen[bytes]"], waits: Counter[str] | None = None) -> float:
    """Seconds until every slice was evaluated on this tick."""
    version = world.tick()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not _done(version, waits):
        assert all(worker.poll() is None for worker in workers), "a worker ended; see above"
        assert time.monotonic() < deadline, f"not evaluated within {WAIT_SECONDS_MAX} s"
        time.sleep(SAMPLE_SECONDS)
    ((seconds,),) = selected(
        """
        SELECT extract(epoch FROM max(run.created_at) - max(snapshot.published_at))
        FROM market_snapshots AS snapshot JOIN trading_sessions_evaluationrun AS run ON run.slot = snapshot.version
        WHERE snapshot.version = %s
        """,
        [version],
    )
    return float(seconds)


def _done(version: int, waits: Counter[str] | None) -> bool:
    """Whether all slices are evaluated; counts what the workers wait for until then (`none`: they work, or their
    process does)."""
    rows = selected(
        """
        SELECT CASE WHEN state = 'active' THEN coalesce(wait_event_type, 'none') ELSE 'none' END,
               NOT EXISTS (SELECT FROM trading_sessions_evaluationslice WHERE evaluated_slot < %s)
        FROM pg_stat_activity WHERE application_name = %s
        """,
        [version, NAME],
    )
    done = bool(rows) and rows[0][1]
    if waits is not None and not done:
        waits.update(what for what, _ in rows)
    return done
