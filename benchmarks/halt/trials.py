"""1,000 emergency stops while two workers order and execute as fast as they can.

One trial: wait until orders flow, and in every other trial until all that is decided is filled and the workers are
at deciding, which draining cannot see; in a third of the trials SIGSTOP Valkey, which then accepts connections and
answers nothing; arm (platform, portfolio and symbol in turn); drain at once; look at what has gone out in the scope,
and again when each worker has ended the pass that it was in, so that whatever it had decided before the halt has had
its chance to go out; release by somebody else. The truth is told at the end, by the time of every commit (`checker`).

*Armed* is the commit of the halt's row, seen where its INSERT returns; `arm` itself returns a little later, after
it has told the journal and sent the wake-up.
"""

import math
import os
import random
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, connections
from django.db.models import Max

from benchmarks.figure import Figure
from benchmarks.halt.checker import (
    came_late,
    filled_in,
    just_before,
    late_trades,
    moved_within,
    read_movements,
)
from benchmarks.halt.load import Passes
from benchmarks.servers import start_beside
from benchmarks.trading_world import Market, Sessions, open_portfolios, user, widen_rates
from portfolios.models import Portfolio, Role
from portfolios.services.portfolios import set_member
from trading.models import AutoTrade, Execution, Halt
from trading.services.draining import drain, drain_all
from trading.services.emergency_stop import arm, release

TRIALS = int(os.environ.get("HALT_TRIALS", "1000"))
SECONDS_MAX = 900.0
WORKERS = 2
PORTFOLIOS = 40
SYMBOLS = tuple(f"S{number:02}" for number in range(10))
SCOPES = (Halt.Scope.PLATFORM, Halt.Scope.PORTFOLIO, Halt.Scope.SYMBOL)
CASH = Decimal(50_000_000)
WAIT_SECONDS_MAX = 60.0  # the workers' start included
LOOK_BACK = timedelta(seconds=20)  # orders do not wait for longer


@dataclass
class Trials:
    """What all trials gave: times in ms; `late`: trades that were seen to come between the two looks."""

    armed_ms: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)
    drained_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)
    halts: list[uuid.UUID] = field(default_factory=list)
    black_holes: int = 0
    seconds: float = 0.0  # of the load, once it flowed
    late: set[uuid.UUID] = field(default_factory=set)


def measure() -> Iterator[Figure]:
    alice, bob = user("alice"), user("bob")
    widen_rates(duplicate_order_seconds=0)
    Market.make(SYMBOLS, seed=1).publish()
    sessions = open_portfolios(PORTFOLIOS, cash=CASH, owner=alice)
    for portfolio in Portfolio.objects.all():
        set_member(portfolio=portfolio, user=bob, role=Role.RISK_OFFICER, actor=alice)
    with tempfile.TemporaryDirectory() as place, _floor_table() as floor:
        file = Path(place) / "passes"
        passes = Passes(file, workers=WORKERS)
        workers = [start_beside("benchmarks.halt.load", str(number), str(file)) for number in range(WORKERS)]
        try:
            done = _try_all(Load(workers, passes), floor, sessions, alice, bob)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait(10)
    yield from _figures(done)


@dataclass
class Load:
    """The workers, and what is to be waited for of them."""

    workers: Sequence[subprocess.Popen[bytes]]
    passes: Passes

    def wait_until_it_flows(self, *, after: int, pending: bool) -> int:
        """Until something was filled after this fill, and orders are pending or none is; the newest fill."""
        newest = 0

        def flows() -> bool:
            nonlocal newest
            newest = Execution.objects.aggregate(newest=Max("id"))["newest"] or 0
            return newest > after and AutoTrade.objects.filter(status="pending").exists() is pending

        self._wait(flows)
        return newest

    def wait_for_a_pass(self) -> None:
        """Until each worker has ended the pass that it is in now."""
        before = self.passes.counts()
        self._wait(lambda: all(new > old for new, old in zip(self.passes.counts(), before, strict=True)))

    def _wait(self, condition: Callable[[], bool]) -> None:
        begin = time.monotonic()
        while not condition():
            if any(worker.poll() is not None for worker in self.workers):
                raise RuntimeError("a worker of the load ended; see above")
            if time.monotonic() - begin > WAIT_SECONDS_MAX:
                raise RuntimeError(f"the load does not flow within {WAIT_SECONDS_MAX:.0f} s")
            time.sleep(0.005)


def _try_all(
    load: Load,
    floor: psycopg.Connection[Any],
    sessions: Sessions,
    alice: AbstractBaseUser,
    bob: AbstractBaseUser,
) -> Trials:
    done, rng, sweeper = Trials(), random.Random(3), ThreadPoolExecutor(1)
    valkey = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5).info("server")["process_id"]
    filled = load.wait_until_it_flows(after=0, pending=True)
    begin = time.monotonic()
    for number in range(TRIALS):
        if time.monotonic() - begin > SECONDS_MAX:
            break
        filled = load.wait_until_it_flows(after=filled, pending=number % 2 == 0)
        done.floor_ms.append(_insert_bare(floor))
        scope = SCOPES[number % 3]
        black_hole = number // 3 % 3 == 2
        done.black_holes += black_hole
        with _stopped(valkey) if black_hole else nullcontext():
            halt = _armed_and_drained(done, sweeper, scope, _scope_id(scope, rng, sessions), alice)
            since = halt.armed_at - LOOK_BACK
            first = filled_in(halt, trades_since=since)
            load.wait_for_a_pass()
            done.late |= came_late(first, filled_in(halt, trades_since=since))
            release(halt_id=halt.id, actor=bob)
    sweeper.submit(connections.close_all).result()
    sweeper.shutdown()
    done.seconds = time.monotonic() - begin
    return done


def _armed_and_drained(
    done: Trials, sweeper: ThreadPoolExecutor, scope: str, scope_id: str, alice: AbstractBaseUser
) -> Halt:
    """Drained at once by the sweep, while `arm` still tells the journal: the shortest time that anybody could have
    had to act on what he knew before."""
    committed = threading.Event()
    swept = sweeper.submit(_sweep, committed)
    with _noting_the_insert(committed) as times:
        begin = time.perf_counter()
        halt = arm(scope=scope, scope_id=scope_id, reason="a benchmark", actor=alice)
        done.answered_ms.append((time.perf_counter() - begin) * 1000)
    done.armed_ms.append((times[0] - begin) * 1000)
    done.halts.append(halt.id)
    swept.result()
    while not drain(halt_id=halt.id):
        assert time.perf_counter() - begin < WAIT_SECONDS_MAX, "it did not drain"
    halt.refresh_from_db()
    assert halt.drained_at is not None
    done.drained_ms.append((halt.drained_at - halt.armed_at) / timedelta(milliseconds=1))
    return halt


def _sweep(committed: threading.Event) -> None:
    """As a worker's sweep that comes by at this moment."""
    if committed.wait(WAIT_SECONDS_MAX):
        drain_all()


@contextmanager
def _noting_the_insert(committed: threading.Event) -> Iterator[list[float]]:
    """When the statement that makes a halt's row returned; outside a transaction that is its commit."""
    assert connection.get_autocommit() and not connection.in_atomic_block
    times: list[float] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith('INSERT INTO "trading_halt"'):
            times.append(time.perf_counter())
            committed.set()
        return answer

    with connection.execute_wrapper(note):
        yield times
    assert len(times) == 1, "a halt is one row"


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A black hole: connections are accepted, nothing is answered."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _floor_table() -> Iterator[psycopg.Connection[Any]]:
    """A table with one index beside the product's, and a connection that commits each statement."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute("CREATE TABLE benchmark_floor (id uuid PRIMARY KEY, reason text, armed_at timestamptz)")
        yield owner


def _insert_bare(floor: psycopg.Connection[Any]) -> float:
    """Milliseconds of the least that arming must do: one row, committed."""
    begin = time.perf_counter()
    floor.execute("INSERT INTO benchmark_floor VALUES (%s, 'a benchmark', now())", [uuid.uuid4()])
    return (time.perf_counter() - begin) * 1000


def _scope_id(scope: str, rng: random.Random, sessions: Sessions) -> str:
    """Where something is pending just now, if anything is."""
    if scope == Halt.Scope.PLATFORM:
        return ""
    pending = AutoTrade.objects.filter(status="pending").order_by("-created_at").first()
    if scope == Halt.Scope.PORTFOLIO:
        return str(pending.portfolio_id if pending else rng.choice(sorted(sessions)))
    return pending.symbol if pending else rng.choice(SYMBOLS)


def _figures(done: Trials) -> Iterator[Figure]:
    trials = len(done.halts)
    armed, floor = _p99(done.armed_ms), _p99(done.floor_ms)
    orders = AutoTrade.objects.count() / done.seconds
    yield Figure(
        "halt.armed_ms_p99", armed, "ms", floor,
        "p99 of a bare one-row INSERT and commit just before, under the same load", n=trials,
        notes=f"p50 {_p50(done.armed_ms)} (bare {_p50(done.floor_ms)}), goal p99 100; arm() answers, its journal "
        f"entry and wake-up included, after p50 {_p50(done.answered_ms)}, p99 {_p99(done.answered_ms)}; drained after "
        f"p50 {_p50(done.drained_ms)}, p99 {_p99(done.drained_ms)}; {WORKERS} workers, {orders:.0f} orders/s, "
        f"{PORTFOLIOS} portfolios; Valkey black-holed in {done.black_holes}; PostgreSQL with fsync",
    )  # fmt: skip
    halts = list(Halt.objects.filter(pk__in=done.halts))
    late = late_trades(halts) | done.late
    otherwise = set().union(*moved_within(map(just_before, halts), read_movements()))
    assert otherwise, "nothing went out before the halts, so that nothing did afterwards proves nothing"
    cancelled = AutoTrade.objects.filter(status="cancelled", status_reason__startswith="HALTED").count()
    yield Figure(
        "halt.sends_after_drained", len(late), "trades", len(otherwise),
        "trades that went out in the same scopes in equally long times just before arming", n=trials,
        notes="goal 0; sent, or a fill committed, between drained and released, by commit times and by two looks "
        f"with a pass of every worker between them; {AutoTrade.objects.count()} orders in {done.seconds:.0f} s, "
        f"{cancelled} of them cancelled by a halt; Valkey black-holed in {done.black_holes}",
    )  # fmt: skip


def _p50(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)


def _p99(values: Sequence[float]) -> float:
    """The value that at most one in a hundred exceeds."""
    return round(sorted(values)[math.ceil(len(values) * 0.99) - 1], 2)
