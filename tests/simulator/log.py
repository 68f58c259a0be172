"""The log: one JSON line an event, in the hands of the system before anybody can see what it tells of."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.simulator.clock import Clock, to_text


class EventLog:
    """Appends. `n` counts from 1, `what` is the event's name; Decimals are written as text."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._clock = clock
        self._count = 0

    def write(self, what: str, /, **facts: Any) -> None:
        self._count += 1
        line = {"n": self._count, "at": to_text(self._clock.now()), "what": what} | facts
        self._file.write(json.dumps(line, default=_plain) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{value!r} has no place in the log")
