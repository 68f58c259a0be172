"""Processes that end with their parent, and processes recognised after a crash.

A pid alone proves nothing: it may belong to somebody else by now. A process is
recognised by its pid *and* the moment it started.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ON_LINUX: bool = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if ON_LINUX else None


@dataclass(frozen=True)
class ProcessIdentity:
    """Who a process is: its pid and when it started, as the system tells it."""

    pid: int
    started: str


def end_with_parent(signum: int) -> None:
    """Ask the kernel to send this process `signum` when its parent ends (Linux; elsewhere nothing)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)


def dies_with_parent(signum: int) -> Callable[[], None]:
    """A `preexec_fn` for Popen: the child gets `signum` when the parent ends, however it ends.

    The kernel looks at the *thread* that made the child, so start children from
    the main thread. Popen changes the user before it calls this, which matters:
    a change of user would clear the setting.
    """
    parent = os.getpid()

    def before_exec() -> None:
        end_with_parent(signum)
        if os.getppid() != parent:  # the parent ended before the setting took hold
            os._exit(1)

    return before_exec


def start_moment(pid: int) -> str | None:
    """When the process started (boot and clock ticks, or `ps` text); None if it does not run."""
    if ON_LINUX:
        fields = _stat_fields(pid)
        if fields is None or fields[0] in {"Z", "X"}:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{fields[19]}"
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, moment = answer.stdout.strip().partition(" ")
    return None if not moment or state.startswith("Z") else moment.strip()


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command: state, parent, group, session, …"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def command_line(pid: int) -> str:
    """The command of a process, arguments separated by spaces; empty if it cannot be read."""
    if ON_LINUX:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    answer = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a running process, None if there is none with this pid."""
    moment = start_moment(pid)
    return None if moment is None else ProcessIdentity(pid, moment)


def runs(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still runs."""
    return start_moment(identity.pid) == identity.started


def session_members(leader: int, marker: str) -> list[int]:
    """Pids of the leader's session whose environment holds `marker` (Linux; elsewhere none).

    Finds what a killed leader left behind; the marker keeps a stranger's session
    that got the same number out of it.
    """
    if not ON_LINUX:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat_fields(int(entry.name))
        if fields is None or fields[0] in {"Z", "X"} or fields[3] != str(leader):
            continue
        with contextlib.suppress(OSError):
            if marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], *, seconds: float, pause: float = 0.02) -> bool:
    """Poll `condition` for at most `seconds`; whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def end_process(identity: ProcessIdentity, *steps: tuple[int, float]) -> bool:
    """Send each (signal, seconds to wait) in turn until the process is gone; whether it is."""
    for signum, seconds in steps:
        if not runs(identity):
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, signum)
        if wait_until(lambda: not runs(identity), seconds=seconds):
            return True
    return not runs(identity)


def stop_child(child: subprocess.Popen[bytes], *steps: tuple[int, float]) -> None:
    """Send our own child each (signal, seconds to wait) until it has ended, at last SIGKILL."""
    for signum, seconds in (*steps, (signal.SIGKILL, 10.0)):
        if child.poll() is not None:
            return
        child.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)


def write_private(path: Path, text: str) -> None:
    """Replace a file at once and whole, readable by its owner alone (mode 0600).

    It is on the disk before it has the name, and the name when this returns: a loss of power leaves the old or the new.
    """
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object; empty if the file is missing or was cut short."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
