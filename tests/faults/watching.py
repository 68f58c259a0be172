"""What shows only while it lasts: signs of life, reservations of what is in doubt, messages that are forgotten later.
And the hand that keeps the simulator's quotes at the market's."""

import contextlib
import threading
import time
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from django.db import InterfaceError, OperationalError, connection

from market.selectors import market_now
from tests.faults.market import BEGINS, SYMBOLS, TICK_MARKET, price
from tests.faults.mischief import SimulatorLog
from tests.harness.simulator import Simulator
from trading.services.verification_queries import AT_BROKERS, CHECKS

LOOK_SECONDS = 0.4
# Line of the Procfile -> the component whose sign of life it gives.
COMPONENTS = {
    "worker_broker": "worker.broker", "worker_execution": "worker.execution", "feed": "feed", "beat": "beat",
    "worker_evaluation": "worker.evaluation", "streams": "streams",
}  # fmt: skip
DEEP_SECONDS = 2.0
RESERVED = ("open trades have reservations", "what is in doubt stays reserved")


@dataclass(frozen=True)
class Message:
    portfolio_id: uuid.UUID
    kind: str
    at: float


class Watch:
    """A thread of its own until `stop`."""

    def __init__(self, simulator: Simulator, told: SimulatorLog, *, seed: int) -> None:
        self._simulator, self._told, self._seed = simulator, told, seed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._next_deep = 0.0
        self._last_message = 0
        self._known: set[int] = set()
        self.signs: dict[str, list[tuple[float, str]]] = defaultdict(list)
        """component -> (unix time, instance), in order"""
        self._last_sign: dict[tuple[str, str], float] = {}
        self.not_reserved: list[str] = []
        self.messages: list[Message] = []
        self.statuses: dict[str, int] = {}

    @property
    def orders(self) -> int:
        """How many the simulator has taken by now."""
        return len(self._told.taken)

    def signs_since(self, line: str, at: float) -> int:
        """How often processes of this line have shown themselves at work since then (unix time)."""
        signs = self.signs.get(COMPONENTS[line], ())
        return len(signs) - bisect_right(signs, at, key=lambda sign: sign[0])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self._told.read()
                self._look()
                if time.monotonic() >= self._next_deep:
                    self._next_deep = time.monotonic() + DEEP_SECONDS
                    self._look_deep()
            except (OperationalError, InterfaceError):
                connection.close()
        connection.close()

    def _look(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT component, instance, extract(epoch FROM at)::float FROM foundation_heartbeat "
                "WHERE at > clock_timestamp() - interval '10 seconds' AND NOT ended ORDER BY at"
            )
            for component, instance, at in cursor.fetchall():
                if self._last_sign.get((component, instance), 0.0) < at:
                    self._last_sign[component, instance] = at
                    self.signs[component].append((at, instance))
        as_of = market_now()
        if as_of is not None:
            number = (as_of - BEGINS) // TICK_MARKET
            quotes = {symbol: price(self._seed, symbol, number) for symbol in SYMBOLS}
            with contextlib.suppress(httpx.HTTPError):
                self._simulator.quotes({symbol: (last, last) for symbol, last in quotes.items()})

    def _look_deep(self) -> None:
        with connection.cursor() as cursor:
            for name in RESERVED:
                cursor.execute((CHECKS | AT_BROKERS)[name], [])
                self.not_reserved += [f"{name}: {row[0]}" for row in cursor.fetchall()]
            cursor.execute(
                "SELECT id, portfolio_id, kind, extract(epoch FROM at)::float FROM trading_ordermessage "
                "WHERE id > %s ORDER BY id",
                [self._last_message - 500],  # ids may be committed out of order
            )
            rows: Sequence[tuple[int, uuid.UUID, str, float]] = cursor.fetchall()
            cursor.execute("SELECT status, count(*) FROM auto_trades GROUP BY status")
            self.statuses = dict(cursor.fetchall())
        self._keep(rows)

    def _keep(self, rows: Sequence[tuple[int, uuid.UUID, str, float]]) -> None:
        known = self._known
        for identity, portfolio_id, kind, at in rows:
            if identity not in known:
                known.add(identity)
                self.messages.append(Message(portfolio_id, kind, at))
                self._last_message = max(self._last_message, identity)
