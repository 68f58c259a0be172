"""Where the tests end or stop a process in the middle of its work, at a step that has a name.

`PAUSE_POINT=name=/path` in the environment: the first process that reaches the named point writes its process id into
the file and waits there to be killed.

`KILL_POINTS=/path`: the fault campaign arms points while the processes run. The file is JSON and replaced as a whole:

    {"seed": 7, "points": [{"name": "send.sent", "token": "12", "mode": "kill", "probability": 0.5, "detail": true}]}

Whoever reaches an armed point, and whose draw is below its probability, takes the point's token: a token is good for
one process. It writes a line into `<file>.log`, one write at the file's end, and only then kills itself (mode `kill`)
or stops itself until somebody continues it (`stop`). detail: only with a piece of work in its hands, which the line
names. Without these variables nothing happens and nothing is paid for.
"""

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

PAUSE_SECONDS_MAX = 60.0
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass
class Armed:
    """The points as the control file has them; read again whenever it was replaced."""

    file: Path
    _stamp: tuple[int, int] = (0, 0)
    _points: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _seed: int = 0
    _draws: int = 0

    def reach(self, name: str, detail: str) -> None:
        for point in self._armed(name):
            if point.get("detail") and not detail:
                continue
            self._draws += 1
            draw = Random(f"{self._seed}|{point['token']}|{os.getpid()}|{self._draws}").random()
            if draw < point["probability"] and self._take(point["token"]):
                self._tell(point, detail)
                os.kill(os.getpid(), SIGNALS[point["mode"]])
                return

    def _armed(self, name: str) -> list[dict[str, Any]]:
        try:
            status = self.file.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            if stamp != self._stamp:
                control = json.loads(self.file.read_text())
                self._points = {}
                for point in control["points"]:
                    self._points.setdefault(point["name"], []).append(point)
                self._stamp, self._seed = stamp, control["seed"]
        except FileNotFoundError:
            return []
        return self._points.get(name, [])

    def _take(self, token: str) -> bool:
        try:
            os.close(os.open(f"{self.file}.{token}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        return True

    def _tell(self, point: dict[str, Any], detail: str) -> None:
        told = {
            "point": point["name"], "token": point["token"], "mode": point["mode"], "pid": os.getpid(),
            "at": time.time(), "detail": detail,
        }  # fmt: skip
        descriptor = os.open(f"{self.file}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, json.dumps(told).encode() + b"\n")
        os.close(descriptor)


ARMED = Armed(Path(os.environ["KILL_POINTS"])) if "KILL_POINTS" in os.environ else None


def reach(name: str, *, detail: str = "") -> None:
    """A step of the work. detail: what is in hand, such as an order's client id."""
    if ARMED is not None:
        ARMED.reach(name, detail)
    setting = os.environ.get("PAUSE_POINT")
    if setting is None:
        return
    wanted, _, file = setting.partition("=")
    if wanted != name:
        return
    try:
        descriptor = os.open(Path(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return
    os.write(descriptor, str(os.getpid()).encode())
    os.close(descriptor)
    time.sleep(PAUSE_SECONDS_MAX)
