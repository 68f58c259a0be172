"""How old a snapshot is when a session is evaluated on it, through real processes: feed and evaluation.

The feed simulates a market at four ticks a second; one evaluation worker takes the sessions slice by slice. The age is
the time between the statement that stored the snapshot and the one that recorded the evaluation of a slice on it, both
by PostgreSQL's clock. The floor is a bare Celery task there and back through the same Valkey: the wake-up goes there.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from django.db import connection

from autotrading_project.embedded.processes import dies_with_parent
from autotrading_project.runner.procfile import read_procfile
from benchmarks.feed.quotes import make_market
from benchmarks.figure import Figure
from benchmarks.latency.bare import nothing
from benchmarks.trading_world import user, widen_rates
from market.models import CalendarDay, Instrument, Snapshot
from portfolios.services.portfolios import create_portfolio, deposit
from rules.services.rules import create_rule
from sessions.models import SLICE_SESSIONS_MAX, EvaluationRun
from sessions.services.sessions import start_trading_session

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = int(os.environ.get("FEED_SESSIONS", "1000"))
SECONDS = float(os.environ.get("FEED_SECONDS", "60"))
SYMBOLS = 100
WARM_UP_SNAPSHOTS = 40
WAIT_SECONDS_MAX = 120.0
TICKS_PER_SECOND = 4
FLOOR_TRIPS = 200

AGES = """
    SELECT extract(epoch FROM run.created_at - snapshot.published_at) * 1000
    FROM {runs} AS run JOIN market_snapshots AS snapshot ON snapshot.version = run.slot
    WHERE run.slot > %s ORDER BY run.id
"""


def measure() -> Iterator[Figure]:
    _make_world()
    started = [_start(name) for name in ("worker_evaluation", "feed")]
    try:
        _wait_for(lambda: Snapshot.objects.count() > WARM_UP_SNAPSHOTS and EvaluationRun.objects.exists())
        first = Snapshot.objects.order_by("-version").values_list("version", flat=True)[0]
        time.sleep(SECONDS)
    finally:
        _stop(started)
    with connection.cursor() as cursor:
        cursor.execute(AGES.format(runs=EvaluationRun._meta.db_table), [first])
        ages = sorted(float(row[0]) for row in cursor.fetchall())
    snapshots = Snapshot.objects.filter(version__gt=first).count()
    floor = _floor()
    yield Figure(
        "feed.snapshot_age_p99_ms", round(_share(ages, 0.99), 1), "ms", round(_share(floor, 0.99), 2),
        "p99 of a bare Celery task there and back, same Valkey", n=len(ages),
        notes=f"{SESSIONS} sessions in slices of up to {SLICE_SESSIONS_MAX}, {SYMBOLS} symbols, {snapshots} "
        f"snapshots in {SECONDS:g} s of at most {TICKS_PER_SECOND} a second; median {_share(ages, 0.5):.1f} ms; "
        "the goal is 250 ms",
    )  # fmt: skip


def _make_world() -> None:
    make_market()
    Instrument.objects.filter(symbol__gte=f"S{SYMBOLS:03}").update(is_active=False)
    alice = user("alice")
    widen_rates()
    rule = {
        "name": "Buy", "rule_type": "entry", "priority": 1,
        "conditions": [{"field": "price", "operator": "less_than", "value": 0.05}],
        "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 1}],
    }  # fmt: skip
    for number in range(SESSIONS):
        portfolio = create_portfolio(name=f"Portfolio {number}", owner=alice)
        deposit(portfolio_id=portfolio.id, amount=Decimal(10_000), actor=alice)
        create_rule(portfolio_id=portfolio.id, actor=alice, rule=rule)
        start_trading_session(portfolio_id=portfolio.id, config={}, actor=alice)


def _start(name: str, command: list[str] | None = None) -> "subprocess.Popen[bytes]":
    lines = {entry.name: entry for entry in read_procfile(ROOT / "Procfile")}
    start = CalendarDay.objects.filter(exchange="XBEN").order_by("day").values_list("day", flat=True)[10]
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MARKET_FEED": "simulated", "SIM_START": start.isoformat(), "SIM_STEP_SECONDS": "60",
        "SIM_TICKS_PER_SECOND": str(TICKS_PER_SECOND),
    }  # fmt: skip
    return subprocess.Popen(
        command or lines[name].arguments(),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=sys.stderr,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )


def _stop(started: "list[subprocess.Popen[bytes]]") -> None:
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(30)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, f"it did not begin within {WAIT_SECONDS_MAX} s"
        time.sleep(0.2)


def _floor() -> list[float]:
    """Milliseconds there and back."""
    bare = _start(
        "bare",
        [
            *("celery", "-q", "-A", "benchmarks.latency.bare", "worker", "-n", "bare@%h", "-Q", "bare"),
            *("-c", "1", "-P", "prefork", "--without-gossip", "--without-mingle"),
        ],
    )
    try:
        nothing.delay().get(timeout=WAIT_SECONDS_MAX)  # it is there
        trips = []
        for _ in range(FLOOR_TRIPS):
            begin = time.perf_counter()
            nothing.delay().get(timeout=WAIT_SECONDS_MAX)
            trips.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.02)
    finally:
        _stop([bare])
    return sorted(trips)


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(math.ceil(len(ordered) * share) - 1, len(ordered) - 1)]
