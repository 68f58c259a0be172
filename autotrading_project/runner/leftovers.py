"""A run that was killed with SIGKILL leaves a list of its processes; the next run ends them.

On Linux the kernel has ended them already (see embedded.processes). A process is
ended only if it started at the recorded moment, or carries the run's marker in
its environment: a pid alone may belong to somebody else by now.
"""

import contextlib
import json
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from autotrading_project.embedded.processes import (
    ProcessIdentity,
    end_process,
    identify,
    read_json,
    runs,
    session_members,
    write_private,
)

MARKER = "AUTOTRADING_RUN"
STOP_SECONDS = 10.0


class ProcessRecord:
    """`DATA_DIR/processes.json`: the run's marker and each leader's pid and start moment."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "processes.json"
        self.run_id = secrets.token_hex(16)
        self._leaders: dict[str, ProcessIdentity] = {}

    def environment(self) -> dict[str, str]:
        """What every process gets, so that its children are recognised too."""
        return {MARKER: self.run_id}

    def add(self, name: str, pid: int) -> None:
        """Record a process that has just started."""
        identity = identify(pid)
        if identity is not None:
            self._leaders[name] = identity
            self._write()

    def clear(self) -> None:
        """All have ended in good order."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        leaders = [{"name": name, **vars(identity)} for name, identity in self._leaders.items()]
        write_private(self.path, json.dumps({"run_id": self.run_id, "processes": leaders}, indent=2) + "\n")

    def end_leftovers(self, say: Callable[[str], None]) -> None:
        """End what the recorded run left, leader by leader, then what is left of its session."""
        record = read_json(self.path)
        marker = f"{MARKER}={record.get('run_id', '')}"
        for process in record.get("processes", []):
            leader = ProcessIdentity(int(process["pid"]), str(process["started"]))
            if runs(leader):
                say(f"Ending {process['name']} (pid {leader.pid}), left behind by an earlier run.")
                end_process(leader, (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS))
            for pid in session_members(leader.pid, marker):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.clear()
