"""Those who go on meanwhile, each in a thread, all by the real services: somebody cancels, somebody arms emergency
stops and drains them, and a risk officer explains breaks and releases halts.

A break is explained only where the simulator has told its account something untrue shortly before: any other one stays
open, and the campaign fails by it.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection

from foundation.errors import DomainError
from tests.faults.market import SYMBOLS
from tests.faults.mischief import SimulatorLog
from tests.faults.patience import PAUSE_SECONDS
from tests.faults.scene import Scene
from trading.core.breakers import OF_ACCOUNTS
from trading.core.order_states import WORKING
from trading.models import AutoTrade, Halt, ReconciliationBreak
from trading.services.breaks import explain_break
from trading.services.emergency_stop import arm, release
from trading.services.order_management import cancel_trade

log = structlog.get_logger(__name__)
CAUSE_SECONDS = 45.0
CANCEL_SECONDS, OFFICER_SECONDS = 1.0, 1.0
HALT_SECONDS = (8.0, 16.0)
RELEASE_SECONDS, RELEASE_UNDRAINED_SECONDS = 3.0, 20.0
EXPLANATION = "The broker said what is not true; its orders, fills and holdings were looked through."


class People:
    """`start`, then `stop`; what they did is counted."""

    def __init__(self, scene: Scene, told: SimulatorLog, *, seed: int) -> None:
        self.scene = scene
        self._told = told
        self._draws = Random(f"{seed}|people")
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._next_halt = 0.0
        self.keys: Mapping[object, str] = {place.account.id: place.key for place in scene.at_broker}
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        for work, seconds in (
            (self.cancel_one, CANCEL_SECONDS), (self.look_after_breaks, OFFICER_SECONDS), (self.halt_some, 1.0)
        ):  # fmt: skip
            thread = threading.Thread(target=self._go_on, args=(work, seconds), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _go_on(self, work: Callable[[], None], seconds: float) -> None:
        while not self._ended.wait(seconds):
            try:
                work()
            except (OperationalError, InterfaceError):
                connection.close()
                time.sleep(PAUSE_SECONDS)
            except DomainError as error:
                log.info("people_refused", work=work.__name__, error=str(error))
        connection.close()

    def cancel_one(self) -> None:
        """A working order at the broker, any of them."""
        rows = AutoTrade.objects.filter(
            status__in=[str(state) for state in WORKING], account__broker="alpaca"
        )
        ids = list(rows.order_by("id").values_list("id", flat=True)[:50])
        if ids:
            cancel_trade(trade_id=self._draws.choice(ids), actor=self.scene.alice)
            self.counts["cancels"] += 1

    def halt_some(self) -> None:
        """Arm one now and then; release it a while after it was drained, by another person. What is long unknown
        keeps one from being drained, but not everybody from trading."""
        for halt in Halt.objects.filter(released_at=None, armed_by__isnull=False):
            patience = RELEASE_SECONDS if halt.drained_at is not None else RELEASE_UNDRAINED_SECONDS
            if time.time() - (halt.drained_at or halt.armed_at).timestamp() >= patience:
                release(halt_id=halt.id, actor=self.scene.bob)
        if time.monotonic() < self._next_halt:
            return
        self._next_halt = time.monotonic() + self._draws.uniform(*HALT_SECONDS)
        place = self._draws.choice(self.scene.places)
        scope, scope_id = self._draws.choice(
            [("portfolio", str(place.portfolio.id)), ("account", str(place.account.id))] * 4
            + [("session", str(place.session.id)), ("symbol", self._draws.choice(SYMBOLS)), ("platform", "")]
        )  # fmt: skip
        mode = self._draws.choice(["halt", "halt", "reduce_only"])
        actor = self.scene.alice if scope in ("portfolio", "session") else self.scene.carol
        arm(scope=scope, scope_id=scope_id, mode=mode, reason="the campaign wants it", actor=actor)
        self.counts["halts"] += 1

    def look_after_breaks(self) -> None:
        """Explain what has a cause; release the halts of accounts whose breaks have all ended."""
        for row in ReconciliationBreak.objects.filter(ended_at=None).order_by("found_at")[:50]:
            if self.has_cause(row):
                with contextlib.suppress(DomainError):  # it ended by itself meanwhile
                    explain_break(break_id=row.id, explanation=EXPLANATION, actor=self.scene.bob)
                    self.counts["breaks_explained"] += 1
        for halt in Halt.objects.filter(released_at=None, armed_by_breaker__in=OF_ACCOUNTS):
            if not ReconciliationBreak.objects.filter(account_id=UUID(halt.scope_id), ended_at=None).exists():
                with contextlib.suppress(DomainError):  # it was an outage's, and ended by itself meanwhile
                    release(halt_id=halt.id, actor=self.scene.bob)

    def has_cause(self, row: ReconciliationBreak) -> bool:
        found = row.found_at.timestamp()
        key = self.keys.get(row.account_id, "")
        return self._told.lied(key, since=found - CAUSE_SECONDS, until=found + 1.0)

    def release_all(self) -> None:
        """At the end: what is drained goes at once."""
        for halt in Halt.objects.filter(released_at=None, armed_by__isnull=False):
            release(halt_id=halt.id, actor=self.scene.bob)
