"""The end: nothing is killed and nothing lied about any more, nobody buys, and what is open is waited for."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Max

from foundation.errors import DomainError
from tests.faults.patience import patient
from tests.faults.people import People
from tests.faults.scene import Scene
from trading.core.order_states import OPEN, WORKING
from trading.models import AutoTrade, Reconciliation
from trading.services.order_management import cancel_trade
from trading.services.reconciliation import ask_for_reconciliation

CANCEL_AGAIN_SECONDS = 5.0
ASK_AGAIN_SECONDS = 10.0
STEP_SECONDS = 0.5
RECONCILE_SECONDS_MAX = 90.0


@dataclass
class Settling:
    """`turn` keeps the processes running; it is called all the time."""

    scene: Scene
    people: People
    turn: Callable[[], None]
    say: Callable[[str], None]

    def stop_entries(self) -> None:
        patient(self.scene.stop_entries)

    def give_time(self, *, seconds: float) -> None:
        """All goes on as it is."""
        self._turn_for(seconds)

    def wait_for_orders(self, *, seconds: float) -> Counter[str]:
        """Until no order is open; what works is cancelled. What is left open."""
        deadline, cancel_at = time.monotonic() + seconds, 0.0
        while True:
            self._turn_for(STEP_SECONDS)
            patient(self._look_after)
            left = patient(self._open)
            if not left or time.monotonic() > deadline:
                return left
            if time.monotonic() >= cancel_at:
                cancel_at = time.monotonic() + CANCEL_AGAIN_SECONDS
                self.say(f"open: {dict(left)}")
                patient(self._cancel_working)

    def wait_for_reconciliations(self) -> list[str]:
        """Each account compared once more, and asked again where that fails; who was not."""
        after = patient(self._last_reconciliations)
        deadline, ask_at = time.monotonic() + RECONCILE_SECONDS_MAX, 0.0
        while True:
            now = patient(self._last_reconciliations)
            missing = [
                p for p in self.scene.at_broker if now.get(p.account.id, 0) <= after.get(p.account.id, 0)
            ]
            if not missing or time.monotonic() > deadline:
                return [place.key for place in missing]
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + ASK_AGAIN_SECONDS
                self.say(
                    f"to be reconciled: {len(missing)} accounts; failed lately: {patient(self._failures)}"
                )
                for place in missing:
                    patient(lambda place=place: ask_for_reconciliation(portfolio_id=place.portfolio.id))  # type: ignore[misc]
            self._turn_for(STEP_SECONDS)
            patient(self._look_after)

    def _failures(self) -> list[str]:
        rows = Reconciliation.objects.filter(finished_at__isnull=False).exclude(failure="")
        return list(rows.order_by("-id").values_list("failure", flat=True)[:3])

    def _turn_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.turn()
            time.sleep(0.05)

    def _look_after(self) -> None:
        try:
            self.people.release_all()
            self.people.look_after_breaks()
        except DomainError as error:
            self.say(f"refused: {error}")

    def _open(self) -> Counter[str]:
        rows = AutoTrade.objects.filter(status__in=[str(state) for state in OPEN])
        return Counter(rows.values_list("status", flat=True))

    def _cancel_working(self) -> None:
        for trade_id in AutoTrade.objects.filter(
            status__in=[str(state) for state in WORKING]
        ).values_list("id", flat=True):  # fmt: skip
            try:
                cancel_trade(trade_id=trade_id, actor=self.scene.alice)
            except DomainError as error:
                self.say(f"not cancelled: {error}")

    def _last_reconciliations(self) -> dict[object, int]:
        rows = Reconciliation.objects.filter(finished_at__isnull=False, failure="")
        return dict(rows.values_list("account_id").annotate(last=Max("id")).values_list("account_id", "last"))
