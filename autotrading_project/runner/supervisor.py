"""Starts every process, shows what it writes, starts it again when it exits, stops all of them.

One thread: children are tied to the thread that made them (PR_SET_PDEATHSIG),
so that thread must live as long as the runner.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autotrading_project.embedded.processes import dies_with_parent
from autotrading_project.runner.console import LineSplitter, LogFile, say, write
from autotrading_project.runner.leftovers import ProcessRecord
from autotrading_project.runner.procfile import ProcfileEntry

STOP_SECONDS = 40.0  # longer than a task may take (CELERY_TASK_TIME_LIMIT) and its soft shutdown
PAUSE_SECONDS_MAX = 30.0
STEADY_SECONDS = 30.0  # a process that ran this long starts with a short pause again
READ_BYTES = 65_536


@dataclass
class Supervised:
    """One line of the Procfile and the process that runs it now."""

    entry: ProcfileEntry
    log: LogFile
    child: subprocess.Popen[bytes] | None = None
    lines: LineSplitter = field(default_factory=LineSplitter)
    started_at: float = 0.0
    failures: int = 0
    start_at: float = 0.0

    @property
    def running(self) -> bool:
        return self.child is not None


class Supervisor:
    """All processes of a run. `environment` is each one's whole environment."""

    def __init__(
        self,
        entries: Sequence[ProcfileEntry],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log_dir: Path,
        record: ProcessRecord,
    ) -> None:
        self._processes = [Supervised(entry, LogFile(log_dir / f"{entry.name}.log")) for entry in entries]
        self._environment = dict(environment)
        self._directory = directory
        self._record = record
        self._selector = selectors.DefaultSelector()
        self._width = max((len(entry.name) for entry in entries), default=0)

    def run(
        self,
        *,
        stop_requests: Callable[[], int],
        each_turn: Callable[[], None],
        on_exit: Callable[[str], None],
    ) -> None:
        """Keep all processes running until a stop is requested, then stop them.

        `each_turn` is called several times a second and must be quick; `on_exit` with
        the name of a process that has ended by itself, before it is started again. What
        either raises stops all processes. A second request while stopping kills at once.
        """
        try:
            while not stop_requests():
                for process in self._processes:
                    if not process.running and time.monotonic() >= process.start_at:
                        self._start(process)
                self._show_output(0.1)
                for name in self._reap(restart=True):
                    on_exit(name)
                each_turn()
        finally:
            self._stop(stop_requests)

    def _start(self, process: Supervised) -> None:
        child = subprocess.Popen(
            process.entry.arguments(),
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        self._selector.register(child.stdout, selectors.EVENT_READ, process)
        process.child, process.started_at = child, time.monotonic()
        self._record.add(process.entry.name, child.pid)

    def _show_output(self, seconds: float) -> None:
        """Wait at most `seconds` for output and show what is there."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            process: Supervised = key.data
            data = _read(key.fd)
            if data:
                self._show(process, process.lines.feed(data))
            elif data is not None:  # closed by all who held it
                self._selector.unregister(key.fileobj)

    def _show(self, process: Supervised, lines: Sequence[bytes]) -> None:
        for line in lines:
            process.log.write(line)
            write(f"{process.entry.name:<{self._width}} | {line.decode(errors='replace')}")

    def _reap(self, *, restart: bool) -> list[str]:
        """Bury what has ended; the names."""
        ended = []
        for process in self._processes:
            if process.child is not None and _has_ended(process.child):
                code = self._bury(process)
                ended.append(process.entry.name)
                if restart:
                    self._plan_restart(process, code)
        return ended

    def _bury(self, process: Supervised) -> int:
        """End what is left of an ended leader's group, show its last words; its exit code."""
        child = process.child
        assert child is not None and child.stdout is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # not reaped yet: the number is still its own
        code = child.wait()
        while data := _read(child.stdout.fileno()):
            self._show(process, process.lines.feed(data))
        self._show(process, process.lines.flush())
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.stdout)
        child.stdout.close()
        process.child = None
        return code

    def _plan_restart(self, process: Supervised, code: int) -> None:
        steady = time.monotonic() - process.started_at >= STEADY_SECONDS
        process.failures = 1 if steady else process.failures + 1
        pause = min(0.5 * 2 ** (process.failures - 1), PAUSE_SECONDS_MAX)
        process.start_at = time.monotonic() + pause
        reason = f"signal {-code}" if code < 0 else f"code {code}"
        say(f"{process.entry.name} ended with {reason}; starting it again in {pause:g} s.")

    def _stop(self, stop_requests: Callable[[], int]) -> None:
        """SIGTERM to the leaders only: a Celery pool child must finish its task undisturbed."""
        requests = stop_requests()
        for process in self._processes:
            if process.child is not None:
                process.child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.running for process in self._processes):
            if time.monotonic() >= deadline or stop_requests() > requests:
                self._kill()
            self._show_output(0.05)
            self._reap(restart=False)
        for process in self._processes:
            process.log.close()
        self._selector.close()

    def _kill(self) -> None:
        for process in self._processes:
            if process.child is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.child.pid, signal.SIGKILL)


def _read(descriptor: int) -> bytes | None:
    """What a pipe holds; empty at its end, None if there is nothing now."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended, without reaping it where the system can tell so."""
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
