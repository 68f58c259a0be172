"""What the simulator does wrong: a few things at a time, in phases that follow from the seed."""

import contextlib
import json
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.harness.simulator import Simulator

SUBMIT, CANCEL = ["submit"], ["cancel"]
BOTH, ASKED = ["submit", "cancel"], ["submit", "order_by_client_id"]
Rule = dict[str, Any]
# Each is drawn for a phase as a whole. What keeps an order from the broker is rarer than what only hides it: it blocks
# its symbol for more than a minute, and where nothing is traded any more, nothing is shown. `seconds` of what is late
# are below what "no such order" is believed after.
MISCHIEF: tuple[tuple[Rule, ...], ...] = (
    ({"name": "hang", "endpoints": SUBMIT, "probability": 0.08},),
    ({"name": "close", "endpoints": BOTH, "probability": 0.2},),
    ({"name": "error_after", "endpoints": BOTH, "probability": 0.2, "status": 504},),
    ({"name": "rate_limited", "endpoints": ["submit", "cancel", "order_by_client_id"], "probability": 0.08,
      "seconds": 1},),
    ({"name": "duplicate_answer", "probability": 0.15},),
    ({"name": "fill_early", "probability": 0.3, "seconds": 0.3}, {"name": "fill_beats_cancel", "probability": 0.5}),
    ({"name": "fill_late", "probability": 0.3, "seconds": 3},),
    ({"name": "appears_late", "probability": 0.15, "seconds": 3}, {"name": "close", "endpoints": SUBMIT,
                                                                   "probability": 0.15}),
    ({"name": "error_before", "endpoints": BOTH, "probability": 0.08},
     {"name": "close_before", "endpoints": SUBMIT, "probability": 0.06}),
    ({"name": "nan", "endpoints": ASKED, "probability": 0.05},),
    ({"name": "wrong_symbol", "endpoints": ASKED, "probability": 0.05},),
    ({"name": "garbage", "endpoints": ASKED, "probability": 0.05},
     {"name": "negative_quantity", "endpoints": ["fills", "orders"], "probability": 0.03}),
    ({"name": "slow", "endpoints": ["submit", "orders", "account"], "probability": 0.2, "seconds": 0.6},),
    ({"name": "stream_twice", "probability": 0.4}, {"name": "stream_reorder", "probability": 0.3}),
    ({"name": "stream_drop", "probability": 0.15},),
    ({"name": "stream_late", "probability": 0.3, "seconds": 1.5},),
    ({"name": "stream_cut", "probability": 0.03},),
    ({"name": "stream_nan_price", "probability": 0.03}, {"name": "stream_wrong_symbol", "probability": 0.03}),
)  # fmt: skip
# What is not true: books and broker may rightly be found to differ after it.
LIES = frozenset(
    {"nan", "wrong_symbol", "garbage", "negative_quantity", "stream_nan_price", "stream_wrong_symbol",
     "stream_negative_quantity", "stream_garbage"}
)  # fmt: skip
EACH_PHASE = 3
REFUSED_SECONDS = 1.0


class Misbehaviour:
    """`look` begins the next phase when it is time."""

    def __init__(self, simulator: Simulator, *, seed: int, phase_seconds: float) -> None:
        self._simulator = simulator
        self._draws = Random(f"{seed}|mischief")
        self._phase_seconds = phase_seconds
        self._next = 0.0
        self._left: list[tuple[Rule, ...]] = []

    def look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._phase_seconds
        if len(self._left) < EACH_PHASE:  # every one of them comes before any comes again
            self._left = [*self._left, *self._draws.sample(MISCHIEF, len(MISCHIEF))]
        chosen = [self._left.pop(0) for _ in range(EACH_PHASE)]
        with contextlib.suppress(httpx.HTTPError):
            self._simulator.behave()
            for rule in (rule for rules in chosen for rule in rules):
                self._simulator.misbehave(**rule)
            if self._draws.random() < 0.25:
                self._simulator.refuse_connections(REFUSED_SECONDS)

    def end(self) -> None:
        self._simulator.wait_until_it_answers()
        self._simulator.behave()


class SimulatorLog:
    """The simulator's log, followed: its misdeeds by account, and what was submitted when."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.submits: list[tuple[float, str, str]] = []
        """(unix time, account's key, client order id), in order"""
        self.taken: set[str] = set()
        """client order ids of our orders that the broker accepted"""
        self.lies: dict[str, list[float]] = defaultdict(list)
        """account's key -> unix times of LIES"""
        self.done: Counter[str] = Counter()

    def read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            event = json.loads(line)
            if event["what"] == "mischief":
                self.done[event["name"]] += 1
                if event["name"] in LIES:
                    self.lies[event.get("account", "")].append(unix(event["at"]))
            elif event["what"] == "request" and event.get("endpoint") == "submit":
                self.submits.append((unix(event["at"]), event["account"], event["client_order_id"]))
            elif event["what"] == "accepted" and not event["foreign"]:
                self.taken.add(event["client_order_id"])

    def lied(self, key: str, *, since: float, until: float) -> bool:
        """Whether this account was told something untrue in that time."""
        times = self.lies.get(key, [])
        place = bisect_left(times, since)
        return place < len(times) and times[place] <= until


def unix(text: str) -> float:
    """Of the log's times, which have nanoseconds."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
