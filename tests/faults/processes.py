"""The campaign's processes: lines of the Procfile, started again a short time after they end, as the runner does.

All of them are children of the campaign's main thread, each with a session of its own. Only pids that were started
here, or that are children of these, are ever signalled.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autotrading_project.embedded.processes import dies_with_parent
from autotrading_project.runner.procfile import read_procfile

BASE_DIR = Path(__file__).resolve().parents[2]
RESTART_SECONDS = 0.5
CHILDREN_SECONDS = 0.25  # between two looks at whose children there are
STOP_SECONDS = 45.0
FROM_PROCFILE = ("streams", "beat", "worker_evaluation", "worker_execution", "worker_broker")
POOLS = ("worker_evaluation", "worker_execution", "worker_broker")


@dataclass
class Supervised:
    arguments: list[str]
    child: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    starts: int = 0


class Processes:
    """`look` buries what has ended and starts what is due; call it several times a second, from one thread."""

    def __init__(self, environment: Mapping[str, str], log_dir: Path, *, seed: int) -> None:
        self._environment = dict(environment)
        self.log_dir = log_dir
        lines = {entry.name: entry.arguments() for entry in read_procfile(BASE_DIR / "Procfile")}
        commands = {"feed": [sys.executable, "-m", "tests.faults.market", "--seed", str(seed)]}
        commands |= {name: lines[name] for name in FROM_PROCFILE}
        self._processes = {name: Supervised(arguments) for name, arguments in commands.items()}
        self.wanted = set(self._processes)
        self._seen: dict[int, str] = {}
        self._next_children = 0.0

    def look(self) -> list[str]:
        """Returns the names of those that have ended by themselves since the last look."""
        ended = []
        looks = time.monotonic() >= self._next_children
        if looks:
            self._next_children = time.monotonic() + CHILDREN_SECONDS
        for name, process in self._processes.items():
            if process.child is not None and process.child.poll() is not None:
                end_group(process.child)
                process.child, process.start_at = None, time.monotonic() + RESTART_SECONDS
                ended.append(name)
            if process.child is None and name in self.wanted and time.monotonic() >= process.start_at:
                self._start(name, process)
            if looks and process.child is not None:
                self._seen |= dict.fromkeys((process.child.pid, *children_of(process.child.pid)), name)
        return ended

    def line_of(self, pid: int) -> str:
        """The line that a process belonged to, dead or alive, as far as a look has seen it."""
        return self._seen.get(pid, "")

    def _start(self, name: str, process: Supervised) -> None:
        with (self.log_dir / f"{name}.log").open("ab") as log:
            process.child = subprocess.Popen(
                process.arguments, cwd=BASE_DIR, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, preexec_fn=dies_with_parent(signal.SIGKILL),
            )  # fmt: skip
        process.starts += 1

    def leader(self, name: str) -> int | None:
        child = self._processes[name].child
        return child.pid if child is not None and child.poll() is None else None

    def pool(self, name: str) -> list[int]:
        """Pids of a worker's pool children."""
        leader = self.leader(name)
        return children_of(leader) if leader is not None else []

    def owner_of(self, pid: int) -> str:
        """The line that a living process belongs to, "" for a stranger or the dead."""
        for name in self._processes:
            leader = self.leader(name)
            if leader is not None and (pid == leader or pid in children_of(leader)):
                return name
        return ""

    def starts(self) -> dict[str, int]:
        return {name: process.starts for name, process in self._processes.items()}

    def stop(self, *names: str) -> None:
        """SIGTERM, waited for; they are not started again."""
        chosen = names or tuple(self._processes)
        self.wanted -= set(chosen)
        children = [c for n in chosen if (c := self._processes[n].child) is not None]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(deadline - time.monotonic(), 0.1))
            end_group(child)


def children_of(pid: int) -> list[int]:
    """Living children, by what the kernel tells of the process's threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """SIGKILL to what is left of a leader's group, and bury the leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        leader.wait(10)
