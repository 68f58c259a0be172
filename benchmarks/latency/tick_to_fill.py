"""A rule buys and another sells on every other tick; each fill is timed from its tick's commit to its own.

The processes are the Procfile's: beat, the worker that evaluates, the one that executes. A tick is published as the
feed publishes it. A tick makes one trade, and so few are executed by the process that decided them, right after its
commit: of the way to the other worker, which more trades take, these figures say nothing. The times are those of
PostgreSQL's commits, so that no clock of ours and no polling takes part. Between the ticks a bare Celery task is sent
there and back through the same Valkey.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from django.db import connection

from autotrading_project.embedded.processes import dies_with_parent
from autotrading_project.runner.procfile import read_procfile
from benchmarks.figure import Figure
from benchmarks.latency.bare import nothing
from benchmarks.trading_world import Market, user, widen_rates
from portfolios.services.portfolios import create_portfolio, deposit
from rules.services.rules import create_rule
from sessions.services.sessions import start_trading_session
from trading.models import Execution

ROOT = Path(__file__).resolve().parents[2]
TICKS = int(os.environ.get("LATENCY_TICKS", "400"))
WARM_UP_TICKS = 20
SYMBOLS = tuple(f"S{number:02}" for number in range(50))
WAIT_SECONDS_MAX = 30.0
BETWEEN_SECONDS = 0.05
PROCESSES = ("beat", "worker_evaluation", "worker_execution")
LOW, HIGH = 60.0, 140.0

TIMES = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(s.xmin)) * 1000
    FROM trading_execution e JOIN auto_trades t ON t.id = e.trade_id JOIN market_snapshots s ON s.version = t.slot
    ORDER BY e.id
"""


def measure() -> Iterator[Figure]:
    market = _make_world()
    started = [_start(name) for name in PROCESSES]
    started.append(_start_bare())
    floors: list[float] = []
    try:
        _once_bare()  # its worker is there
        for tick in range(WARM_UP_TICKS + TICKS):
            _tick(market, low=tick % 2 == 0)
            _wait_for_fills(tick + 1)
            time.sleep(BETWEEN_SECONDS)
            floors.append(_once_bare())
            time.sleep(BETWEEN_SECONDS)
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(30)
    with connection.cursor() as cursor:
        cursor.execute(TIMES)
        ours = [float(row[0]) for row in cursor.fetchall()][WARM_UP_TICKS:]
    floors = floors[WARM_UP_TICKS:]
    assert len(ours) == len(floors) == TICKS
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(
            f"latency.tick_to_fill_{name}", round(_percentile(ours, share), 2), "ms",
            round(_percentile(floors, share), 2), f"{name} of a bare Celery task there and back, same Valkey", n=TICKS,
            notes=f"one portfolio, two rules, {len(SYMBOLS)} symbols; commit of the tick to commit of the fill; "
            "feed → evaluation, another process, which executes what it decided after its commit; one tick at a time",
        )  # fmt: skip


def _make_world() -> Market:
    market = Market.make(SYMBOLS, seed=3)
    alice = user("alice")
    widen_rates()
    portfolio = create_portfolio(name="Latency", owner=alice)
    deposit(portfolio_id=portfolio.id, amount=Decimal(1_000_000), actor=alice)
    common = {"priority": 1}
    create_rule(
        portfolio_id=portfolio.id, actor=alice,
        rule=common | {
            "name": "Buy", "rule_type": "entry",
            "conditions": [{"field": "price", "operator": "less_than", "value": 70}],
            "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 10}],
        },
    )  # fmt: skip
    create_rule(
        portfolio_id=portfolio.id, actor=alice,
        rule=common | {
            "name": "Sell", "rule_type": "exit",
            "conditions": [{"field": "price", "operator": "greater_than", "value": 130}],
            "actions": [{"type": "sell", "sizing_method": "full_position"}],
        },
    )  # fmt: skip
    start_trading_session(portfolio_id=portfolio.id, config={}, actor=alice)
    return market


def _tick(market: Market, *, low: bool) -> None:
    """The first symbol is low or high; the others stand between."""
    between = [round(market.rng.uniform(95, 105), 2) for _ in SYMBOLS[1:]]
    market.publish([LOW if low else HIGH, *between])


def _wait_for_fills(count: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while Execution.objects.count() < count:
        assert time.monotonic() < deadline, f"no fill within {WAIT_SECONDS_MAX} s"
        time.sleep(0.005)


def _once_bare() -> float:
    """Milliseconds there and back."""
    start = time.perf_counter()
    nothing.delay().get(timeout=WAIT_SECONDS_MAX)
    return (time.perf_counter() - start) * 1000


def _start(name: str) -> "subprocess.Popen[bytes]":
    lines = {entry.name: entry for entry in read_procfile(ROOT / "Procfile")}
    return _run(lines[name].arguments())


def _start_bare() -> "subprocess.Popen[bytes]":
    """Prefork with one child, as ours are."""
    worker = [
        "celery",
        "-q",
        "-A",
        "benchmarks.latency.bare",
        "worker",
        "-n",
        "bare@%h",
        "-Q",
        "bare",
        "-c",
        "1",
    ]
    return _run([*worker, "-P", "prefork", "--without-gossip", "--without-mingle"])


def _run(arguments: list[str]) -> "subprocess.Popen[bytes]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        stdout=sys.stderr,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(math.ceil(len(ordered) * share) - 1, len(ordered) - 1)]
