"""Who is killed, when: about `per_second` times a second, overlapping, four of five in the workers' pools.

A kill point is armed most of the time, and whoever reaches it first kills himself; the others are killed from outside
at random moments. What must come back before it can be killed again with any sense (a whole worker, the streams) gets
its time. And nobody is killed again before his like has shown itself at work since: on a slow machine the campaign
takes longer, instead of killing what has not done anything yet. Everything is drawn from the seed, but of course not
the moments at which processes reach a point.
"""

import contextlib
import os
import signal
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import redis

from tests.faults.points import POINTS, Points, Reached
from tests.faults.processes import POOLS, Processes
from tests.faults.rows import Rows
from tests.faults.servers import Servers

ARMED_AT_ONCE = 5
# Points of one line at once: who has just come back is not to die at the next one.
ARMED_OF_LINE = {"worker_broker": 2}
FORGET_SECONDS = 15.0
# A line of the Procfile is not killed as a whole again before so many seconds.
REST_SECONDS = {"streams": 40.0, "beat": 30.0, "feed": 30.0, **dict.fromkeys(POOLS, 60.0)}
# Nobody is killed again before his line has given so many signs of life: a pool's process gives one when a task begins,
# so that with the second one some work has come to an end. Without evaluations there is nothing to trade.
SIGNS = {"worker_evaluation": 3, "worker_execution": 3, "worker_broker": 3}
# What a kill without a trade in hand counts when it is chosen which points come next.
WITHOUT_TRADE = 0.3
WHOLE_SECONDS = 15.0  # between any two of them
STOP_SECONDS, SERVER_SECONDS = (8.0, 16.0), (20.0, 40.0)  # between two of them
STOPPED_BEYOND_LEASE = (0.5, 2.0)
JUDGE_SECONDS, JUDGE_SECONDS_MAX = 1.0, 10.0


@dataclass(frozen=True)
class Kill:
    """step: a point's name, or what was killed. trades: in hand, as far as a row or the process itself tells.
    account: whose reconciliation it was in the middle of. slice_id: which had just been claimed; nothing of it was
    decided, and it counts as with a trade if the evaluation that claimed the slice next made one. stopped_seconds: only
    stopped, for so long."""

    at: float
    step: str
    line: str
    pid: int
    trades: tuple[uuid.UUID, ...] = ()
    account: uuid.UUID | None = None
    slice_id: int | None = None
    with_trade: bool = False
    stopped_seconds: float = 0.0


@dataclass
class Killer:
    """`look` does what is due; call it often, from the main thread, which alone may start servers."""

    processes: Processes
    points: Points
    servers: Servers
    database_url: str
    redis_url: str
    seed: int
    per_second: float
    lease_seconds: float
    signs_since: Callable[[str, float], int]
    """how often processes of a line of the Procfile have shown themselves at work since a unix time"""
    say: Callable[[str], None]
    kills: list[Kill] = field(default_factory=list)
    stops: list[Kill] = field(default_factory=list)
    flushes: int = 0
    _began: float = field(default_factory=time.monotonic)
    _next_act: float = 0.0
    _continue_at: list[tuple[float, int]] = field(default_factory=list)
    _killed_at: dict[str, float] = field(default_factory=dict)
    _reached: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _undecided: list[int] = field(default_factory=list)  # places in `kills`
    _next_decision: float = 0.0

    def __post_init__(self) -> None:
        self._rows = Rows(self.database_url)
        self._draws = Random(f"{self.seed}|killer")
        self._next_stop = self._began + self._draws.uniform(*STOP_SECONDS)
        self._next_server = self._began + self._draws.uniform(*SERVER_SECONDS)

    # what is called from outside

    def look(self) -> None:
        self._note_reached()
        self._continue_stopped()
        self._judge_undecided()
        self.points.disarm(older_than_seconds=FORGET_SECONDS)
        now = time.monotonic()
        if now >= self._next_server:
            self._strike_a_server()
            self._next_server = time.monotonic() + self._draws.uniform(*SERVER_SECONDS)
        elif now >= self._next_stop:
            self._stop_somebody()
            self._next_stop = now + self._draws.uniform(*STOP_SECONDS)
        elif now >= self._next_act:
            self._act()
            self._next_act = now + self._draws.uniform(0.5, 1.2) / self.per_second

    def end(self) -> None:
        """Nothing is killed any more, and nobody stays stopped."""
        self.points.disarm()
        self._note_reached()
        while self._continue_at:
            self._continue_stopped()
            time.sleep(0.05)
        self._note_reached()
        self.judge_all()

    def fewest_with_trade(self) -> tuple[str, int]:
        """The kill point at which the fewest died with a trade in hand, and how many."""
        counts = Counter(kill.step for kill in self.kills if kill.with_trade)
        return min(((name, counts[name]) for name in POINTS), key=lambda pair: pair[1])

    def judge_all(self) -> None:
        """Of the kills of claimed slices, those that nobody has evaluated yet: wait a moment for it."""
        deadline = time.monotonic() + JUDGE_SECONDS_MAX
        while self._undecided and time.monotonic() < deadline:
            self._next_decision = 0.0
            self._judge_undecided()
            time.sleep(0.2)

    # what happens

    def _act(self) -> None:
        while len(self.points.armed) < ARMED_AT_ONCE and self._arm():
            pass
        if self._draws.random() < 0.7:
            self._kill_in_a_pool()
        else:
            self._kill_whole()

    def _arm(self) -> bool:
        """The points that have been reached least come first, of lines that may die again; whether there is one."""
        armed = self.points.armed
        lines = Counter(POINTS[name] for name in armed)
        names = [
            name for name, line in POINTS.items()
            if name not in armed and lines[line] < ARMED_OF_LINE.get(line, 1)
            and (self._rested(line) if line == "streams" else self._works(line))
        ]  # fmt: skip
        if not names:
            return False
        fewest = sorted(names, key=lambda name: (self._reached[name], self._draws.random()))
        mode = "stop" if self._draws.random() < 0.06 else "kill"
        self.points.arm(fewest[0], mode=mode, probability=self._draws.choice([0.3, 0.7, 1.0]))
        return True

    def _kill_in_a_pool(self) -> None:
        line = self._draws.choice([*POOLS, "worker_broker"])
        if self._works(line) and (children := self.processes.pool(line)):
            self._kill(self._draws.choice(children), step=f"child of {line}", line=line)

    def _works(self, line: str) -> bool:
        """Whether it has done something since it was killed last."""
        last = max((kill.at for kill in self.kills if kill.line == line), default=0.0)
        return self.signs_since(line, last) >= SIGNS.get(line, 1)

    def _kill_whole(self) -> None:
        now = time.monotonic()
        lately = max(self._killed_at.values(), default=0.0) > now - WHOLE_SECONDS
        lines = [line for line in REST_SECONDS if self._rested(line) and self._works(line)]
        if lately or not lines:
            return
        line = self._draws.choice(lines)
        leader = self.processes.leader(line)
        if leader is None:
            return
        self._killed_at[line] = now
        self._kill(leader, step=f"whole {line}", line=line, others=self.processes.pool(line))

    def _rested(self, line: str) -> bool:
        return time.monotonic() - self._killed_at.get(line, self._began) >= REST_SECONDS[line]

    def _kill(self, pid: int, *, step: str, line: str, others: Sequence[int] = ()) -> None:
        trades = self._rows.in_hand([pid, *others])
        at = time.time()
        for one in (pid, *others):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._note(Kill(at, step, line, pid, trades, with_trade=bool(trades)))

    def _stop_somebody(self) -> None:
        """SIGSTOP beyond the lease: of a pool's child, or of the streams or the feed as a whole."""
        line = self._draws.choice([*POOLS, "worker_broker", "worker_broker", "streams", "feed"])
        leader = self.processes.leader(line)
        pids = self.processes.pool(line) if line in POOLS else [leader] if leader else []
        if pids:
            pid = self._draws.choice(pids)
            trades = self._rows.in_hand([pid])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            self._note_stop(Reached(f"child of {line}", "stop", pid, time.time(), ""), line, trades)

    def _strike_a_server(self) -> None:
        what = self._draws.choice(["flush", "valkey", "postgres", "postgres -9"])
        at = time.time()
        if what == "flush":
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.redis_url) as client:
                client.flushall()
                self.flushes += 1
            return
        if what == "valkey":
            gone = self.servers.restart_valkey()
        else:
            self._rows.forget_connection()
            gone = self.servers.restart_postgres(kill=what.endswith("9"))
        self.say(f"{what}: away for {gone:.1f} s")
        self._note(Kill(at, what, "", 0))

    def _continue_stopped(self) -> None:
        now = time.monotonic()
        for due, pid in list(self._continue_at):
            if now >= due:
                self._continue_at.remove((due, pid))
                if self.processes.owner_of(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)

    # what is noted

    def _note_reached(self) -> None:
        for reached in self.points.reached():
            line = self.processes.line_of(reached.pid) or POINTS[reached.point]
            trades = (reached.trade_id,) if reached.trade_id is not None else ()
            if reached.mode == "stop":
                self._note_stop(reached, line, trades)
                continue
            if line == "streams":
                self._killed_at["streams"] = time.monotonic()
            with_trade = bool(trades) or reached.detail.endswith("trades")
            account = reached.account_id
            if account is not None:
                with_trade = self._rows.has_open(account)
            self._note(
                Kill(reached.at, reached.point, line, reached.pid, trades, account=account,
                     slice_id=reached.slice_id, with_trade=with_trade)
            )  # fmt: skip

    def _note(self, kill: Kill) -> None:
        if kill.slice_id is not None:
            self._undecided.append(len(self.kills))
        self.kills.append(kill)
        self._reached[kill.step] += 1.0 if kill.with_trade else WITHOUT_TRADE

    def _judge_undecided(self) -> None:
        """What the evaluation made that claimed the slice after the one that died."""
        if not self._undecided or time.monotonic() < self._next_decision:
            return
        self._next_decision = time.monotonic() + JUDGE_SECONDS
        for place in list(self._undecided):
            kill = self.kills[place]
            assert kill.slice_id is not None
            made = self._rows.made_next(kill.slice_id, kill.at)
            if made is not None:
                self._undecided.remove(place)
                self.kills[place] = replace(kill, with_trade=made > 0)
                self._reached[kill.step] += (1.0 - WITHOUT_TRADE) * (made > 0)

    def _note_stop(self, reached: Reached, line: str, trades: tuple[uuid.UUID, ...]) -> None:
        seconds = self.lease_seconds + self._draws.uniform(*STOPPED_BEYOND_LEASE)
        self._continue_at.append((time.monotonic() + seconds, reached.pid))
        self.stops.append(
            Kill(reached.at, reached.point, line, reached.pid, trades, with_trade=bool(trades),
                 stopped_seconds=seconds)
        )  # fmt: skip
