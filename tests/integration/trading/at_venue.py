"""Alice's portfolio at a broker that a test moves by hand, and Bob, who explains what differs and lets go."""

from collections.abc import Callable
from typing import Any

import pytest

from foundation.clock import database_now
from portfolios.models import BrokerAccount
from tests.harness.at_broker import connect, ordered, report
from tests.harness.scripted_stream import Venue, VenueBroker
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.brokers.protocol import BrokerOrder, StreamEvent
from trading.models import AutoTrade, Halt, ReconciliationBreak
from trading.services import reconciliation, reconciling_holdings
from trading.services.breaks import explain_break
from trading.services.emergency_stop import release
from trading.services.order_reports import apply_report
from trading.services.reconciliation import reconcile


class AtVenue:
    """`hooks`: question -> what happens elsewhere just before it is answered."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.account, self.venue, self.bob = desk, connect(desk), Venue(), risk_officer(desk)
        self.hooks: dict[str, Callable[[], None]] = {}
        monkeypatch.setattr(reconciliation, "broker_of", self.connection)
        monkeypatch.setattr(reconciling_holdings, "SECOND_LOOK_SECONDS", 0.0)

    def connection(self, account: BrokerAccount) -> VenueBroker:
        assert account.pk == self.account.pk
        return VenueBroker(lambda: self.venue, hooks=self.hooks)

    def sent(self, **more: Any) -> AutoTrade:
        """An order of ours that the broker has, and we know it."""
        trade = ordered(self.desk, **more)
        AutoTrade.objects.filter(pk=trade.pk).update(sent_at=database_now(), attempt=1, fence=1)
        self.venue.works(trade)
        return report(trade)

    def order(self, trade: AutoTrade) -> BrokerOrder:
        return self.venue.orders[f"b-{trade.id.hex}"]

    def told(self, event: StreamEvent) -> AutoTrade:
        """The stream tells of it."""
        return apply_report(
            account_id=self.account.pk, order=event.order, execution=event.execution, told_by="stream"
        )

    def reconcile(self, trigger: str = "periodic") -> str:
        """Its failure."""
        return reconcile(account_id=self.account.pk, trigger=trigger).failure

    def open(self) -> list[tuple[str, str]]:
        """(kind, key) of the breaks."""
        rows = ReconciliationBreak.objects.filter(account=self.account, ended_at=None)
        return sorted(rows.values_list("kind", "key"))

    def breaks(self, trigger: str = "periodic") -> list[tuple[str, str]]:
        """Those that are open after another reconciliation, which works."""
        assert self.reconcile(trigger) == ""
        return self.open()

    def explain(self) -> list[tuple[str, str]]:
        """Bob explains all that is open; what that was."""
        was = self.open()
        for row in ReconciliationBreak.objects.filter(account=self.account, ended_at=None):
            explain_break(break_id=row.pk, explanation="I have looked", actor=self.bob)
        return was

    def release(self) -> None:
        """Bob lets go of what halts."""
        for halt in Halt.objects.filter(released_at=None):
            release(halt_id=halt.pk, actor=self.bob)

    def halted(self) -> bool:
        return Halt.objects.filter(scope="account", released_at=None).exists()
