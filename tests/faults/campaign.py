"""The campaign: set the scene, kill and lie for as long as asked, settle, and count.

One thread starts and kills everything (the kernel ends children with the thread that made them); people and watch have
threads of their own.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from tests.faults import checks, evidence
from tests.faults.evidence import Evidence
from tests.faults.killer import Killer
from tests.faults.mischief import Misbehaviour, SimulatorLog
from tests.faults.patience import patient
from tests.faults.people import People
from tests.faults.points import POINTS, Points
from tests.faults.processes import BASE_DIR, Processes
from tests.faults.recovery import Recovered, Recoveries, median_of_work, worst_and_median, worst_by_kind
from tests.faults.scene import LIMITS, Scene, secret_of, set_the_scene
from tests.faults.servers import Servers
from tests.faults.settle import Settling
from tests.faults.watching import Watch
from tests.harness.simulator import Simulator
from trading.models import BrokerMessage, Reconciliation
from trading.services.verification import book_differences

READY_SECONDS = 90.0
SIGNS_SECONDS = 20.0  # in which what was killed last shows itself at work, before the feed ends for good
TURN_SECONDS = 0.05
SAY_SECONDS = 15.0
SETTLE_MARGIN_SECONDS = 150.0
DETAILS_MAX = 20
SLOWEST_TOLD = 5
# Fills of some symbols take their time, and come in parts: they can be cancelled.
SLOW_SYMBOLS = ("EEE", "FFF")
SLOW_FILLS = {"delay": [0.5, 4.0], "parts": [1, 3], "part_delay": [0.2, 1.5], "cancel_delay": [0.0, 0.4]}
FAST_FILLS = {"delay": [0.01, 0.3], "parts": [1, 2], "part_delay": [0.01, 0.3]}


@dataclass(frozen=True)
class Wanted:
    """kills, orders: so many of both, and as many kills with a trade in hand at each kill point as `each` says; then it
    ends, or after `minutes` (0: never). per_second: how often somebody is killed."""

    kills: int
    orders: int
    seed: int
    portfolios: int
    on_paper: int
    per_second: float
    phase_seconds: float
    log_dir: Path
    each: int = 0
    minutes: float = 0.0
    warm_up_seconds: float = 6.0


@dataclass
class Campaign:
    wanted: Wanted
    servers: Servers
    environment: dict[str, str]
    began: float = field(default_factory=time.monotonic)

    def run(self) -> dict[str, Any]:
        """The line to print; `violations` in it are lists of sentences."""
        wanted = self.wanted
        port = int(self.environment["ALPACA_PAPER_URL"].rpartition(":")[2])
        simulator = Simulator(wanted.log_dir / "simulator", seed=wanted.seed, port=port)
        simulator.start()
        try:
            return self._run(simulator)
        finally:
            connections.close_all()
            simulator.stop()

    def _run(self, simulator: Simulator) -> dict[str, Any]:
        wanted = self.wanted
        for symbol in SLOW_SYMBOLS:
            simulator.policy(symbol=symbol, **SLOW_FILLS)
        simulator.policy(**FAST_FILLS)
        self.say(
            f"setting the scene: {wanted.portfolios} portfolios at the simulator, {wanted.on_paper} on paper"
        )
        scene = set_the_scene(
            simulator, portfolios=wanted.portfolios, on_paper=wanted.on_paper, seed=wanted.seed
        )
        told = SimulatorLog(simulator.log_path)
        points = Points(Path(self.environment["KILL_POINTS"]), seed=wanted.seed)
        processes = Processes(self.environment, wanted.log_dir, seed=wanted.seed)
        watch, people = Watch(simulator, told, seed=wanted.seed), People(scene, told, seed=wanted.seed)
        try:
            self._wait_until_it_trades(processes, watch, told)
            people.start()
            killer = self._killer(processes, points, watch)
            self._kill(processes, killer, Misbehaviour(
                simulator, seed=wanted.seed, phase_seconds=wanted.phase_seconds
            ), watch)  # fmt: skip
            simulator.wait_until_it_answers()
            simulator.behave()
            people.stop()
            missing, left = self._settle(scene, people, processes)
        finally:
            processes.stop()
            watch.stop()
        told.read()
        return self._count(scene, simulator, told, watch, people, killer, left, missing)

    def _wait_until_it_trades(self, processes: Processes, watch: Watch, told: SimulatorLog) -> None:
        processes.look()
        watch.start()
        deadline = time.monotonic() + READY_SECONDS
        while not told.submits:
            self._turn(processes)
            assert time.monotonic() < deadline, (
                f"no order within {READY_SECONDS} s; see {self.wanted.log_dir}"
            )
        until = time.monotonic() + self.wanted.warm_up_seconds
        while time.monotonic() < until:
            self._turn(processes)

    def _killer(self, processes: Processes, points: Points, watch: Watch) -> Killer:
        return Killer(
            processes=processes, points=points, servers=self.servers, database_url=self.environment["DATABASE_URL"],
            redis_url=self.environment["REDIS_URL"], seed=self.wanted.seed, per_second=self.wanted.per_second,
            lease_seconds=settings.BROKER_LEASE_SECONDS, signs_since=watch.signs_since, say=self.say,
        )  # fmt: skip

    def _kill(self, processes: Processes, killer: Killer, misbehaviour: Misbehaviour, watch: Watch) -> None:
        say_at = 0.0
        until = time.monotonic() + 60 * self.wanted.minutes if self.wanted.minutes else math.inf
        while time.monotonic() < until and not self._is_enough(killer, watch):
            self._turn(processes)
            misbehaviour.look()
            killer.look()
            if time.monotonic() >= say_at:
                say_at = time.monotonic() + SAY_SECONDS
                name, least = killer.fewest_with_trade()
                self.say(
                    f"{len(killer.kills)} kills (with a trade at each point at least {least}: {name}), "
                    f"{len(killer.stops)} stops, {watch.orders} orders, trades {watch.statuses}"
                )
        killer.end()

    def _is_enough(self, killer: Killer, watch: Watch) -> bool:
        wanted = self.wanted
        if len(killer.kills) < wanted.kills or watch.orders < wanted.orders:
            return False
        return killer.fewest_with_trade()[1] >= wanted.each

    def _turn(self, processes: Processes) -> None:
        processes.look()
        time.sleep(TURN_SECONDS)

    def _settle(
        self, scene: Scene, people: People, processes: Processes
    ) -> tuple[list[str], Counter[str]]:  # fmt: skip
        self.say("settling")
        settling = Settling(scene, people, lambda: self._turn(processes), self.say)
        seconds = SETTLE_MARGIN_SECONDS + 2 * settings.BROKER_SETTLE_SECONDS
        settling.stop_entries()
        settling.wait_for_orders(seconds=seconds)
        settling.give_time(seconds=SIGNS_SECONDS)
        processes.stop("feed")  # what is held stays so: nothing is decided any more
        left = settling.wait_for_orders(seconds=seconds)
        missing = settling.wait_for_reconciliations() or settling.wait_for_reconciliations()
        return missing, left

    # counting

    def _count(
        self, scene: Scene, simulator: Simulator, told: SimulatorLog, watch: Watch, people: People, killer: Killer,
        left: Counter[str], missing: Sequence[str],
    ) -> dict[str, Any]:  # fmt: skip
        self.say("counting")
        found = patient(lambda: self._evidence(scene, simulator, told, watch))
        violations = checks.run(found)
        violations["invariants_broken"] += [
            f"{key}: no reconciliation has succeeded at the end" for key in missing
        ]
        recovered = patient(lambda: self._recoveries(found, watch)).of(killer.kills)
        worst, middle = worst_and_median(recovered)
        self._tell_slowest(recovered)
        kills = Counter(kill.step for kill in killer.kills)
        with_trade = Counter(kill.step for kill in killer.kills if kill.with_trade)
        return {
            "orders": len(simulator.witness().taken()), "kills": len(killer.kills),
            **{name: len(lines) for name, lines in violations.items()},
            "worst_recovery_seconds": worst, "median_recovery_seconds": middle,
            "median_work_recovery_seconds": median_of_work(recovered),
            "worst_recovery_by_kind": worst_by_kind(recovered),
            "not_recovered": sum(one.seconds is None for one in recovered),
            "kills_by_step": dict(sorted(kills.items())),
            "kills_with_trade_by_step": {name: with_trade[name] for name in dict.fromkeys([*POINTS, *with_trade])},
            "stops": len(killer.stops), "flushes": killer.flushes,
            "misbehaviours": dict(sorted(told.done.items())),
            "breaks_explained": people.counts["breaks_explained"], "halts": people.counts["halts"],
            "cancels": people.counts["cancels"], "trades": _statuses(found.trades), "left_open": dict(left),
            "settings": {
                name: getattr(settings, name)
                for name in ("BROKER_DEADLINE_SECONDS", "BROKER_LEASE_SECONDS", "BROKER_SETTLE_SECONDS")
            },
            "seed": self.wanted.seed, "seconds": round(time.monotonic() - self.began, 1),
            "violations": violations,
        }  # fmt: skip

    def _evidence(self, scene: Scene, simulator: Simulator, told: SimulatorLog, watch: Watch) -> Evidence:
        accounts = {place.account.id: place.key for place in scene.at_broker}
        portfolios = {place.portfolio.id: place.key for place in scene.at_broker}
        holdings, cash = evidence.read_holdings(portfolios)
        return Evidence(
            witness=simulator.witness(), trades=evidence.read_trades(accounts), fills=evidence.read_fills(),
            events=evidence.read_events([place.portfolio.id for place in scene.places]),
            halts=evidence.read_halts(), breaks=evidence.read_breaks(accounts), holdings=holdings, cash=cash,
            cash_history=evidence.read_cash_history(), submits=told.submits, messages=watch.messages,
            not_reserved=watch.not_reserved, book_differences=book_differences(), limits=LIMITS,
            lied=lambda key, since, until: told.lied(key, since=since, until=until),
            secrets_in_logs=_secrets_in(self.wanted.log_dir, [secret_of(key) for key in accounts.values()]),
        )  # fmt: skip

    def _recoveries(self, found: Evidence, watch: Watch) -> Recoveries:
        words: dict[uuid.UUID, list[float]] = defaultdict(list)
        for trade_id, at in BrokerMessage.objects.values_list("trade_id", "answered_at"):
            words[trade_id].append(at.timestamp())
        reconciled: dict[uuid.UUID, list[float]] = defaultdict(list)
        done = Reconciliation.objects.filter(finished_at__isnull=False)
        for row in done:
            assert row.finished_at is not None
            reconciled[row.account_id].append(row.finished_at.timestamp())
        return Recoveries(watch.signs, found.events, words, reconciled)

    def _tell_slowest(self, recovered: Sequence[Recovered]) -> None:
        slowest = sorted(recovered, key=lambda one: -(one.seconds if one.seconds is not None else 10**6))
        for one in slowest[:SLOWEST_TOLD]:
            self.say(f"slow: {one.seconds} s after {one.kill.step} ({one.kill.at:.3f}): {one.what}")

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.1f}] {text}", file=sys.stderr, flush=True)


def _statuses(trades: Sequence[evidence.Trade]) -> dict[str, int]:
    return dict(sorted(Counter(trade.status for trade in trades).items()))


def _secrets_in(log_dir: Path, secrets: Sequence[str]) -> list[str]:
    found = []
    for path in sorted(log_dir.glob("*.log")):
        text = path.read_text(errors="replace")
        found += [f"{path.name} tells the secret of an account" for secret in secrets if secret in text][:1]
    return found


def prepare(environment: Mapping[str, str]) -> None:
    """Migrate and seed the database that the environment names."""
    subprocess.run(
        [sys.executable, "-m", "autotrading_project.runner.prepare"], cwd=BASE_DIR, env=dict(environment),
        check=True, stdout=sys.stderr,
    )  # fmt: skip


def main(wanted: Wanted) -> int:
    """The exit code: 1 when anything is not 0 that must be."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _stop)
    environment = os.environ | {
        "KILL_POINTS": str(wanted.log_dir / "kill_points.json"),
        "PYTHONUNBUFFERED": "1",
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    servers = Servers(Path(os.environ["DATA_DIR"]), say=lambda text: print(text, file=sys.stderr))
    try:
        servers.take_over()
        prepare(environment)
        environment.pop("DATABASE_OWNER_URL")
        told = Campaign(wanted, servers, environment).run()
    finally:
        servers.stop()
    violations = told.pop("violations")
    for name, lines in violations.items():
        for line in lines[:DETAILS_MAX]:
            print(f"{name}: {line}", file=sys.stderr)
    print(json.dumps(told))
    return int(any(violations.values()))


def _stop(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)
