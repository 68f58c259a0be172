"""Real processes for tests: the lines of the Procfile, started, awaited, killed, stopped by pid."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from autotrading_project.celery import app
from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import dies_with_parent, wait_until
from autotrading_project.runner.procfile import read_procfile
from tests.harness.databases import CommittedDatabase

BASE_DIR = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 45.0


class Processes:
    """Processes of one test. Names are the Procfile's; logs are kept in `log_dir`/<name>.log.

    Every wait has a limit and fails with the process's log.
    """

    def __init__(self, environment: Mapping[str, str], log_dir: Path) -> None:
        self.environment = dict(environment)
        self.environment.setdefault("HOST", "127.0.0.1")
        self.environment.setdefault("PORT", str(free_port()))
        self.base_url = f"http://127.0.0.1:{self.environment['PORT']}"
        self.log_dir = log_dir
        self._lines = {
            entry.name: entry
            for file in ("Procfile", "Procfile.demo")
            for entry in read_procfile(BASE_DIR / file)
        }
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, **more_environment: str) -> None:
        """Start lines of the Procfile (`web`, `worker_execution`, `worker_execution.2`, …) without waiting for them."""
        for name in names:
            self.start_command(name, self._lines[_line(name)].arguments(), **more_environment)

    def start_command(self, name: str, arguments: list[str], **more_environment: str) -> None:
        """Start any command under a name of its own, in its own session; it ends when pytest does."""
        assert name not in self._children, f"{name} runs already"
        self.log_dir.mkdir(parents=True, exist_ok=True)
        with (self.log_dir / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                arguments,
                cwd=BASE_DIR,
                env=self.environment | more_environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )

    def wait_ready(self, *names: str) -> None:
        """Wait until web answers /health, workers answer a ping, and the others run."""
        for name in names:
            if name == "web":
                self.wait_for("web", self._web_answers)
            elif name.startswith("worker_"):
                self.wait_for(name, lambda name=name: self._worker_answers(name))  # type: ignore[misc]
            else:
                assert self.child(name).poll() is None, self._ended(name)

    def wait_for(
        self, name: str, condition: Callable[[], bool], *, seconds: float = START_SECONDS, pause: float = 0.1
    ) -> None:
        """Wait for a condition while the process runs; fails with its log if it ends or time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.child(name).poll() is not None:
                pytest.fail(self._ended(name), pytrace=False)
            if time.monotonic() > deadline:
                pytest.fail(f"{name} not as expected after {seconds} s:\n{self.log(name)}", pytrace=False)
            time.sleep(pause)

    def child(self, name: str) -> subprocess.Popen[bytes]:
        return self._children[name]

    def pid(self, name: str) -> int:
        """The leader's pid."""
        return self.child(name).pid

    def pool_children(self, name: str) -> list[int]:
        """Pids of a worker's pool processes, those who run the tasks."""
        return children_of(self.pid(name))

    def log(self, name: str) -> str:
        """What the process has written so far, at most the last 20 kB."""
        return (self.log_dir / f"{name}.log").read_bytes()[-20_000:].decode(errors="replace")

    def kill(self, name: str) -> None:
        """SIGKILL to the leader, and forget it: it may be started again under the same name."""
        child = self._children.pop(name)
        child.kill()
        child.wait(10)

    def stop(self, *names: str) -> dict[str, int]:
        """SIGTERM to the leaders, all at once; their exit codes. What does not end in time is a failure."""
        chosen = {name: self._children.pop(name) for name in names}
        for child in chosen.values():
            child.send_signal(signal.SIGTERM)
        late = []
        for name, child in chosen.items():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                late.append(name)
            end_group(child)
        assert not late, f"did not stop within {STOP_SECONDS} s: {', '.join(late)}"
        return {name: child.returncode for name, child in chosen.items()}

    def stop_all(self) -> dict[str, int]:
        """Stop everything that still runs."""
        return self.stop(*self._children)

    def _web_answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.base_url}/health", timeout=2).status_code == 200
        return False

    def _worker_answers(self, name: str) -> bool:
        worker = f"{_line(name).removeprefix('worker_')}-{self.child(name).pid}@{socket.gethostname()}"
        return bool(app.control.ping(destination=[worker], timeout=0.5))

    def _ended(self, name: str) -> str:
        return f"{name} ended with code {self.child(name).returncode}:\n{self.log(name)}"


def _line(name: str) -> str:
    """Of the Procfile; a second process of it is called `name.2`."""
    return name.partition(".")[0]


def children_of(pid: int) -> list[int]:
    """Pids of a process's children."""
    answer = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in answer.stdout.splitlines()]
    return [int(child) for child, parent, state in rows if int(parent) == pid and not state.startswith("Z")]


def is_alive(pid: int) -> bool:
    """Whether a process with this pid runs (a zombie does not)."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(answer.stdout.strip()) and not answer.stdout.strip().startswith("Z")


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """SIGKILL to what is left of a leader's group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        leader.wait(10)


@pytest.fixture
def processes(
    committed_db: CommittedDatabase, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Processes]:
    """Processes on a committed_db, stopped at the end; their logs are printed with a failure."""
    started = Processes(committed_db.environment, tmp_path / "logs")
    assert committed_db.environment["REDIS_PREFIX"] == settings.REDIS_PREFIX
    try:
        yield started
    finally:
        try:
            started.stop_all()
        finally:
            for log in sorted(started.log_dir.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")


__all__ = ["Processes", "children_of", "is_alive", "processes", "wait_until"]
