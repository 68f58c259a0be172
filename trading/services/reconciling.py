"""What the parts of a reconciliation share: one run, its questions, and what it found."""

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import connection, transaction

from foundation import leases
from foundation.kill_points import reach
from portfolios.models import BrokerAccount, Portfolio
from trading.brokers.protocol import Broker, BrokerExecution, BrokerOrder, before_each_exchange
from trading.core.reconciliation import Finding
from trading.models import AutoTrade
from trading.services.breaks import record_breaks
from trading.services.order_reports import apply_report
from trading.services.report_checks import nothing_unforeseen

CLOCK_SLACK = timedelta(minutes=5)
SINGLE_ASKS_MAX = 100
TOLD_BY = "reconciliation"


Answer = TypeVar("Answer")
Asked = ParamSpec("Asked")


class TakenOver(Exception):
    """It took so long that somebody else reconciles by now, or that the account is another one at the broker."""


def lease_seconds() -> float:
    """Longer than any one exchange with a broker takes: it is renewed before each, also between the pages of a list."""
    return max(float(settings.BROKER_LEASE_SECONDS), settings.BROKER_DEADLINE_SECONDS * 2)


@contextlib.contextmanager
def fenced(lease: leases.HeldLease) -> Iterator[None]:
    """A transaction that is kept only by whoever has the lease at its end: who was stopped for longer than that writes
    nothing by his old view. Raises TakenOver."""
    with transaction.atomic():
        yield
        renew(lease)  # last: portfolios and journal streams are locked first, as everywhere


def renew(lease: leases.HeldLease) -> None:
    """Raises TakenOver."""
    if not leases.renew(lease, seconds=lease_seconds()):
        raise TakenOver(f"The lease {lease.name} was taken over.")


@dataclass
class Run:
    """One reconciliation under way. What it writes, it writes `fenced`.

    floor: what happened at the broker before it is not ours to judge. since: how far back it is asked. seen: (kind,
    key) of the differences that are still there, or of which nothing can be said now. explained: of those of the
    holdings that are just what people have explained. asks_left: for single orders. question: the last one.
    """

    account: BrokerAccount
    broker: Broker
    lease: leases.HeldLease
    floor: datetime
    since: datetime
    booked: int = 0
    asks_left: int = SINGLE_ASKS_MAX
    question: str = ""
    seen: set[tuple[str, str]] = field(default_factory=set)
    explained: frozenset[tuple[str, str]] = frozenset()

    @property
    def account_id(self) -> uuid.UUID:
        return self.account.pk

    def ask(self, question: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        """Put a question to the broker, with the lease renewed for each of its answers. Raises as the broker, and
        TakenOver."""
        self._renew()
        self.question = question.__name__
        assert not connection.in_atomic_block, "no transaction is held across the network"
        with before_each_exchange(self._renew):
            return question(*args, **kwargs)

    def ask_for(self, client_order_id: str) -> BrokerOrder | None:
        """One order as it is now."""
        self.asks_left -= 1
        return self.ask(self.broker.order_by_client_id, client_order_id)

    def apply(self, order: BrokerOrder, execution: BrokerExecution | None = None) -> AutoTrade:
        """Raises ForeignOrder, BadReport, TakenOver: it renews the lease, which so many fills would outlive."""
        with nothing_unforeseen(order, execution, but=(TakenOver,)), self.fenced():
            trade = apply_report(
                account_id=self.account_id, order=order, execution=execution, told_by=TOLD_BY
            )
            reach("reconcile.before_commit", detail=order.client_order_id)
        return trade

    def _renew(self) -> None:
        renew(self.lease)

    @contextlib.contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction for what is concluded of this account while nobody else concludes. Raises TakenOver."""
        with fenced(self.lease):
            self.require_same_account()
            yield

    def record(self, findings: Iterable[Finding]) -> None:
        found = list(findings)
        self.seen |= {(one.kind, one.key) for one in found}
        if not found:
            return
        with self.fenced():
            record_breaks(account_id=self.account_id, findings=found)

    def require_same_account(self) -> None:
        """It was not connected anew while the broker answered; whoever connects it locks its portfolio first, too.
        Raises TakenOver."""
        Portfolio.objects.select_for_update(no_key=True).only("pk").get(pk=self.account.portfolio_id)
        names = ("broker", "account_number", "connected_at")
        now = BrokerAccount.objects.values_list(*names).get(pk=self.account_id)
        if now != tuple(getattr(self.account, name) for name in names):
            raise TakenOver(f"Account {self.account_id} was connected anew.")
