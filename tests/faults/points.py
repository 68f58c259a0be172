"""The named kill points, armed while the processes run; see `foundation.kill_points`."""

import json
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Name -> the process that dies there, for how often that may be. In the order of design, section 5.
POINTS: dict[str, str] = {
    "evaluation.after_claim": "worker_evaluation",
    "evaluation.before_commit": "worker_evaluation",
    "evaluation.after_commit": "worker_evaluation",
    "protections.before_commit": "worker_execution",
    "execution.before_commit": "worker_execution",
    "send.before_claim": "worker_broker",
    "send.after_claim": "worker_broker",
    "send.connected": "worker_broker",
    "send.gated": "worker_broker",
    "send.sent": "worker_broker",
    "send.before_record": "worker_broker",
    "send.after_record": "worker_broker",
    "cancel.after_claim": "worker_broker",
    "cancel.sent": "worker_broker",
    "cancel.before_record": "worker_broker",
    "recover.before_ask": "worker_broker",
    "recover.before_record": "worker_broker",
    "stream.received": "streams",
    "stream.before_commit": "streams",
    "stream.after_commit": "streams",
    "reconcile.asked": "streams",
    "reconcile.before_commit": "streams",
}
CLIENT_ID = re.compile(r"at-([0-9a-f]{32})")


@dataclass(frozen=True)
class Reached:
    """A line of the log: what a process told before it died or stopped."""

    point: str
    mode: str
    pid: int
    at: float
    detail: str

    @property
    def trade_id(self) -> uuid.UUID | None:
        """Of the trade in hand, if it is a single one."""
        if match := CLIENT_ID.fullmatch(self.detail):
            return uuid.UUID(match[1])
        try:
            return uuid.UUID(self.detail)
        except ValueError:
            return None

    @property
    def slice_id(self) -> int | None:
        """Of the slice that was claimed, where nothing of it is decided yet."""
        return int(self.detail.removeprefix("slice ")) if self.detail.startswith("slice ") else None

    @property
    def account_id(self) -> uuid.UUID | None:
        return uuid.UUID(self.detail.removeprefix("account ")) if self.detail.startswith("account ") else None


class Points:
    """The control file and its log."""

    def __init__(self, file: Path, *, seed: int) -> None:
        self.file = file
        self._seed = seed
        self._armed: dict[str, dict[str, Any]] = {}
        self._armed_at: dict[str, float] = {}
        self._given = 0
        self._read = 0
        self._write()

    @property
    def armed(self) -> list[str]:
        return [point["name"] for point in self._armed.values()]

    def arm(self, name: str, *, mode: str, probability: float) -> None:
        self._given += 1
        token = str(self._given)
        self._armed[token] = {
            "name": name, "token": token, "mode": mode, "probability": probability, "detail": True
        }  # fmt: skip
        self._armed_at[token] = time.monotonic()
        self._write()

    def disarm(self, *, older_than_seconds: float = 0.0) -> None:
        """What nobody has reached."""
        before = time.monotonic() - older_than_seconds
        old = [token for token, at in self._armed_at.items() if at <= before and token in self._armed]
        for token in old:
            del self._armed[token]
        if old:
            self._write()

    def reached(self) -> Sequence[Reached]:
        """What has been reached since the last call; those points are disarmed."""
        log = self.file.with_name(self.file.name + ".log")
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in whole.splitlines():
            told = json.loads(line)
            self._armed.pop(told["token"], None)
            found.append(Reached(told["point"], told["mode"], told["pid"], told["at"], told["detail"]))
        if found:
            self._write()
        return found

    def _write(self) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps({"seed": self._seed, "points": list(self._armed.values())}))
        draft.replace(self.file)
