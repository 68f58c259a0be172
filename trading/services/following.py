"""Following one account's executions, so that nothing falls between.

Connect first, reconcile then, and apply what the stream has buffered meanwhile and what it tells from then on. What
cannot be applied is never skipped: on any failure the connection is dropped, and it begins again with a
reconciliation. Each event is applied in one transaction that renews the lease: who has lost it writes nothing.
"""

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Iterator

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Max

from foundation import leases
from foundation.kill_points import reach
from portfolios.models import BrokerAccount
from trading.brokers.connections import broker_of
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    Broker,
    ExecutionStream,
    ForeignReport,
    NotCapable,
    NotConnected,
    StreamEvent,
)
from trading.core.reconciliation import Finding
from trading.models import Reconciliation, ReconciliationBreak
from trading.services import breaks
from trading.services.account_alerts import alert_once
from trading.services.order_reports import ForeignOrder, apply_report, tells_nothing_new
from trading.services.reconciliation import AlreadyReconciling, reconcile
from trading.services.reconciling_orders import foreign_execution, foreign_order, foreign_report, told_fill
from trading.services.report_checks import nothing_unforeseen

log = structlog.get_logger(__name__)
Kind = ReconciliationBreak.Kind
Trigger = Reconciliation.Trigger
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.5, 30.0
DATABASE_RETRY_SECONDS_MAX = 2.0
NOT_CONNECTED_SECONDS = 60.0
STEADY_SECONDS = 10.0  # so long followed without trouble, the next trouble is a first one
FAILURES_BEFORE_ALERT = 5
BUSY_STEP_SECONDS, BUSY_SECONDS_MAX = 0.2, 60.0
IDLE_EVENTS = 5  # so many silent seconds, the database's connection is given back
TOLD_BY = "stream"


class LeaseLost(Exception):
    """Somebody else follows this account by now, or may."""


class Follower(threading.Thread):
    """Follows one account until it is ended or has lost its lease. Whoever runs it renews the lease (`renewed`)."""

    def __init__(self, *, account_id: uuid.UUID, lease: leases.HeldLease, fingerprint: object = None) -> None:
        super().__init__(name=f"follower {account_id}", daemon=True)
        self.account_id, self.lease, self.fingerprint = account_id, lease, fingerprint
        self._ending = threading.Event()
        self._good_until = time.monotonic() + settings.BROKER_LEASE_SECONDS
        self._trigger = str(Trigger.START)
        self._failures = 0

    def renewed(self, *, good_until: float) -> None:
        self._good_until = good_until

    def end(self) -> None:
        """Stop soon: within about a second where it waits for events."""
        self._ending.set()

    @property
    def ending(self) -> bool:
        return self._ending.is_set()

    def run(self) -> None:
        structlog.contextvars.bind_contextvars(account_id=str(self.account_id))
        try:
            while not self.ending:
                self._ending.wait(self._follow_once())
        finally:
            connection.close()

    def _follow_once(self) -> float:
        """Follow until there is trouble; returns the seconds to wait before the next try."""
        began = time.monotonic()
        try:
            self._follow()
            return 0.0
        except LeaseLost as error:
            log.warning("stream_lease_lost", error=str(error))
            self.end()
            return 0.0
        except (NotConnected, NotCapable) as error:
            return self._not_connected(error)
        except AskFailed as error:
            return max(self._again(began, error), error.retry_after_seconds or 0.0)
        except (OperationalError, InterfaceError) as error:
            connection.close()
            return min(self._again(began, error, alert=False), DATABASE_RETRY_SECONDS_MAX)
        except Exception as error:
            log.exception("stream_failed")
            connection.close()
            return self._again(began, error)

    def _follow(self) -> None:
        account = BrokerAccount.objects.select_related("portfolio").get(pk=self.account_id)
        broker = broker_of(account)
        try:
            with broker.stream() as events:
                self._reconcile(broker)
                self._trigger = Trigger.RECONNECT
                log.info("stream_following", fence=self.lease.fence)
                self._apply_all(events)
        finally:
            broker.close()

    def _reconcile(self, broker: Broker) -> None:
        """Whatever another one concludes was asked before we listened, so it is waited for."""
        deadline = time.monotonic() + BUSY_SECONDS_MAX
        while not self.ending:
            self._check_lease()
            try:
                done = reconcile(account_id=self.account_id, trigger=self._trigger, broker=broker)
            except AlreadyReconciling as error:
                if time.monotonic() > deadline:
                    raise AskFailed(str(error)) from error
                self._ending.wait(BUSY_STEP_SECONDS)
            else:
                if not done.looked_at_orders:
                    raise AskFailed(done.failure)
                return

    def _apply_all(self, events: ExecutionStream) -> None:
        """Raises what ends it; returns when it is to end."""
        silent = 0
        for told in events:
            if self.ending:
                return
            self._check_lease()
            if told is None:
                silent += 1
                if silent == IDLE_EVENTS:
                    connection.close()
                continue
            silent = 0
            if isinstance(told, ForeignReport):
                self._record(foreign_report(told))
            elif isinstance(told, BadReport):
                key, said = breaks.payload_key(told.payload or str(told)), {"said": told.payload}
                self._record(Finding(Kind.BAD_REPORT, key, str(told), theirs=said))
            else:
                self._apply(told)
        if not self.ending:
            raise AskFailed("The stream has ended.")

    def _apply(self, event: StreamEvent) -> None:
        order, execution = event.order, event.execution
        reach("stream.received", detail=order.client_order_id)
        try:
            if execution is None and tells_nothing_new(account_id=self.account_id, order=order):
                return
            with nothing_unforeseen(order, execution, but=(LeaseLost,)), self._fenced():
                apply_report(account_id=self.account_id, order=order, execution=execution, told_by=TOLD_BY)
                reach("stream.before_commit", detail=order.client_order_id)
        except ForeignOrder:
            found = [foreign_order(order)]
            if execution is not None:
                found.append(foreign_execution(execution))
            self._record(*found)
        except BadReport as error:
            if execution is not None:
                found = [
                    Finding(Kind.EXECUTION, execution.execution_id, str(error), theirs=told_fill(execution))
                ]
            else:
                key = f"order {order.broker_order_id}"
                found = [Finding(Kind.BAD_REPORT, key, str(error), theirs={"said": event.received})]
            self._record(*found)
        reach("stream.after_commit", detail=order.client_order_id)

    def _record(self, *found: Finding) -> None:
        with self._fenced():
            breaks.record_breaks(account_id=self.account_id, findings=found)

    @contextlib.contextmanager
    def _fenced(self) -> Iterator[None]:
        """A transaction in which nobody else can take the lease over. Raises LeaseLost."""
        with transaction.atomic():
            if not leases.renew(self.lease, seconds=settings.BROKER_LEASE_SECONDS):
                raise LeaseLost(f"The lease {self.lease.name} (fence {self.lease.fence}) was taken over.")
            yield

    def _check_lease(self) -> None:
        """Without a word of whoever renews it, it may be somebody else's."""
        if time.monotonic() >= self._good_until and not leases.renew(
            self.lease, seconds=settings.BROKER_LEASE_SECONDS
        ):
            raise LeaseLost(f"The lease {self.lease.name} (fence {self.lease.fence}) was taken over.")

    def _again(self, began: float, error: Exception, *, alert: bool = True) -> float:
        """Exponential, with jitter, so that many accounts do not come back at once."""
        if time.monotonic() - began >= STEADY_SECONDS:
            self._failures = 0
        self._failures += 1
        wait = min(RETRY_SECONDS_FIRST * 2 ** min(self._failures - 1, 16), RETRY_SECONDS_MAX)
        log.warning("stream_interrupted", error=str(error).strip(), failures=self._failures)
        if alert and self._failures == FAILURES_BEFORE_ALERT:
            self._alert("streams.failing", f"The broker's executions cannot be followed: {error}")
        return wait * random.uniform(0.5, 1.0)

    def _not_connected(self, error: Exception) -> float:
        log.warning("stream_not_connected", error=str(error))
        self._alert("streams.not_connected", f"The broker account cannot be used: {error}")
        return NOT_CONNECTED_SECONDS

    def _alert(self, kind: str, message: str) -> None:
        """Once since it was last reconciled."""
        try:
            rows = Reconciliation.objects.filter(
                account_id=self.account_id, failure="", finished_at__isnull=False
            )
            since = rows.aggregate(at=Max("finished_at"))["at"]
            alert_once(account_id=self.account_id, kind=kind, since=since, message=message)
        except (OperationalError, InterfaceError) as failure:
            connection.close()
            log.warning("stream_alert_lost", error=str(failure).strip())
