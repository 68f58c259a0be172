"""Continuous reconciliation with a broker: orders, fills, positions, cash (RTS 6, Art 17).

One at a time for an account, by a lease. The broker is asked with no transaction open; what follows is compared and
written in short transactions. An answer that does not come leaves `failure`, and nothing is concluded from it.

How far back it is asked is said in `reconciling_window`.
"""

import contextlib
import time
import uuid
from datetime import timedelta

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from django.db.models import F, Max, OuterRef, Q, Subquery
from django.db.models.functions import Now

from foundation import heartbeats, leases
from foundation.clock import database_now
from foundation.errors import Conflict, NotFound
from foundation.kill_points import reach
from foundation.wakeups import wake_on_commit
from portfolios.models import BrokerAccount
from trading.brokers.connections import broker_of
from trading.brokers.protocol import BadReport, Broker, BrokerAccountState, BrokerError
from trading.core.reconciliation import STATES, Finding, answer_key, blocked
from trading.models import Reconciliation, ReconciliationBreak
from trading.services import breaks
from trading.services.account_alerts import alert_once
from trading.services.faults import TRANSIENT
from trading.services.reconciling import Run, TakenOver, fenced, lease_seconds
from trading.services.reconciling_cash import book_activities
from trading.services.reconciling_holdings import compare_holdings
from trading.services.reconciling_orders import AskedOrders, apply_orders, ask_orders
from trading.services.reconciling_unread import in_the_way
from trading.services.reconciling_window import window

log = structlog.get_logger(__name__)
Kind, Trigger = ReconciliationBreak.Kind, Reconciliation.Trigger
FAILURES_BEFORE_ALERT = 5
FAILURE_CHARACTERS_MAX = 255
RUN_SECONDS_MAX = 5.0  # of one task; the sweep goes on, and others need the workers too
TASK, QUEUE = "trading.tasks.reconcile_due", "broker"


class AlreadyReconciling(Exception):
    """Somebody else reconciles this account at this moment."""


def reconcile(*, account_id: uuid.UUID, trigger: str, broker: Broker | None = None) -> Reconciliation:
    """Compare an account with its broker, and book, move and record what that shows. Call it outside transactions.

    `broker`: the caller's own connection; else one is made and closed. Raises AlreadyReconciling; a broker that
    cannot be asked is no error, but a row with its `failure`.
    """
    account = BrokerAccount.objects.select_related("portfolio").get(pk=account_id)
    holder = f"{heartbeats.instance_name()}:{uuid.uuid4().hex[:8]}"
    lease = leases.acquire(name=f"broker.reconcile:{account_id}", holder=holder, seconds=lease_seconds())
    if lease is None:
        raise AlreadyReconciling(f"Account {account_id} is being reconciled.")
    try:
        row = _begin(account_id, trigger, lease)
        _finish(row, lease, *_carry_out(account, row, lease, broker))
    except TakenOver as error:
        raise AlreadyReconciling(str(error)) from error
    finally:
        with contextlib.suppress(OperationalError, InterfaceError):
            leases.release(lease)
    row.refresh_from_db()
    return row


def _begin(account_id: uuid.UUID, trigger: str, lease: leases.HeldLease) -> Reconciliation:
    """A row of its own, or the one by which somebody asked for it. Raises TakenOver."""
    with fenced(lease):
        asked = Reconciliation.objects.filter(account_id=account_id, trigger=Trigger.MANUAL, finished_at=None)
        row = asked.order_by("id").first() if trigger == Trigger.MANUAL else None
        if row is None:
            row = Reconciliation.objects.create(account_id=account_id, trigger=trigger)
        Reconciliation.objects.filter(pk=row.pk).update(started_at=Now())
        row.refresh_from_db()
    return row


def _carry_out(
    account: BrokerAccount, row: Reconciliation, lease: leases.HeldLease, broker: Broker | None
) -> tuple[str, AskedOrders | None, Run | None]:
    """The failure (empty: none), what was asked, and how it went."""
    own: Broker | None = None
    run: Run | None = None
    try:
        if broker is None:
            broker = own = broker_of(account)
        floor, since = window(account.pk, row)
        run = Run(account, broker, lease, floor, since)
        return *_compare(run), run
    except (BrokerError, TakenOver) as error:
        return f"{type(error).__name__}: {error}", None, None
    except SoftTimeLimitExceeded:  # it counts, or it would be begun anew at once, before all others
        if not connection.in_atomic_block:
            connection.close()  # it may have been in the middle of a statement
        return "SoftTimeLimitExceeded: it was not done when the worker's time was up", None, None
    except (*TRANSIENT, InternalError):  # of a database that is busy or away, or may only be read
        raise
    except Exception as error:  # a failure like any other: it counts, and is told of
        log.exception("reconciliation_broke", account_id=str(account.pk))
        return f"{type(error).__name__}: {error}", None, None
    finally:
        if own is not None:
            own.close()


def _compare(run: Run) -> tuple[str, AskedOrders | None]:
    """The failure (empty: none), and what was asked. Raises BrokerError, TakenOver."""
    try:
        told = run.ask(run.broker.account)
        if not _is_this_account(run, told):
            return f"the broker answers for account {told.account_number}", None
        _note_block(run, told)
        orders = ask_orders(run)
        reach("reconcile.asked", detail=f"account {run.account_id}")
        apply_orders(run, orders)
        with run.fenced():
            breaks.end_booked(account_id=run.account_id)
        unread = in_the_way(run, orders.unread)
        if unread:  # and what it has filled: nothing can be said of what is held
            return f"{Reconciliation.UNREAD}{unread[0]}", orders
        book_activities(run)
        compare_holdings(run)
        with run.fenced():
            breaks.end_gone(account_id=run.account_id, kinds=STATES, seen=run.seen, explained=run.explained)
        return "", orders
    except BadReport as error:
        key = answer_key(run.question, str(error))
        run.record([Finding(Kind.BAD_REPORT, key, str(error), theirs={"said": error.payload})])
        return f"{Reconciliation.BAD_REPORT}{error}", None


def _is_this_account(run: Run, told: BrokerAccountState) -> bool:
    """What it tells of another account is not believed."""
    ours, theirs = run.account.account_number, told.account_number
    if not ours or theirs == ours:
        return True
    detail = f"the broker answers for account {theirs}, ours is {ours}"
    numbers = {"account_number": ours}, {"account_number": theirs}
    run.record([Finding(Kind.BAD_REPORT, "account_number", detail, *numbers)])
    return False


def _note_block(run: Run, told: BrokerAccountState) -> None:
    """At once, whatever becomes of the rest: an account that may not trade must not be asked for entries."""
    run.record(blocked(told.trading_objection))
    with run.fenced():
        breaks.end_gone(account_id=run.account_id, kinds=[Kind.BLOCKED], seen=run.seen)


def _finish(
    row: Reconciliation, lease: leases.HeldLease, failure: str, orders: AskedOrders | None, run: Run | None
) -> None:
    """Whoever took over may be at the same row, if somebody asked for it, and has begun it anew: it is his to end."""
    mine = Reconciliation.objects.filter(pk=row.pk, started_at=row.started_at)
    try:
        with fenced(lease):
            still_open = breaks.halt_while_open(account_id=row.account_id)
            reach("reconcile.before_commit", detail=f"account {row.account_id}")
            mine.update(
                finished_at=Now(), failure=failure[:FAILURE_CHARACTERS_MAX], breaks=still_open,
                orders=len(orders.by_client_id) if orders is not None else 0,
                fills_booked=run.booked if run is not None else 0,
            )  # fmt: skip
    except TakenOver as error:
        failure = f"{type(error).__name__}: {error}"
        mine.update(finished_at=Now(), failure=failure[:FAILURE_CHARACTERS_MAX])
    if failure:
        log.warning("reconciliation_failed", account_id=str(row.account_id), failure=failure)
        _alert_failing(row.account_id, failure)


def _alert_failing(account_id: uuid.UUID, failure: str) -> None:
    """Once, when so many have failed since the last that did not."""
    rows = Reconciliation.objects.filter(account_id=account_id, finished_at__isnull=False)
    good = rows.filter(failure="").aggregate(at=Max("finished_at"))["at"]
    failed = rows.exclude(failure="")
    if good is not None:
        failed = failed.filter(finished_at__gt=good)
    count = failed.count()
    if count >= FAILURES_BEFORE_ALERT:
        message = f"Books and broker could not be compared {count} times in a row: {failure}"
        alert_once(account_id=account_id, kind="reconciliation.failing", since=good, message=message)


@transaction.atomic
def ask_for_reconciliation(*, portfolio_id: uuid.UUID) -> Reconciliation:
    """Mark the portfolio's account as due now; asked again before it began, it is the same one.

    Raises NotFound, Conflict (the paper market has nothing to compare with).
    """
    account = BrokerAccount.objects.select_for_update(no_key=True).filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise NotFound("The portfolio has no broker account.")
    if account.broker == BrokerAccount.Broker.PAPER:
        raise Conflict("A paper account has no broker to compare with.", code="paper_account")
    waiting = Reconciliation.objects.filter(account=account, trigger=Trigger.MANUAL, finished_at=None)
    row = waiting.order_by("id").first()
    if row is None:
        row = Reconciliation.objects.create(account=account, trigger=Trigger.MANUAL)
        row.refresh_from_db()
    wake_on_commit(TASK, queue=QUEUE)
    return row


def due_accounts() -> list[tuple[uuid.UUID, str]]:
    """(account, trigger) of real brokers' accounts that somebody asked for, whose last one did not end (its process
    died), or that were not looked at for RECONCILE_SECONDS, the longest waiting first."""
    mine = Reconciliation.objects.filter(account=OuterRef("pk"))
    finished = mine.order_by("-started_at").values("finished_at")[:1]
    asked = (
        mine.filter(trigger=Trigger.MANUAL, finished_at=None).order_by("-started_at").values("started_at")[:1]
    )
    before = database_now() - timedelta(seconds=settings.RECONCILE_SECONDS)
    rows = (
        BrokerAccount.objects.exclude(broker=BrokerAccount.Broker.PAPER)
        .annotate(finished=Subquery(finished), asked=Subquery(asked))
        .filter(Q(asked__isnull=False) | Q(finished=None) | Q(finished__lt=before))
        .order_by("asked", F("finished").asc(nulls_first=True), "id")
    )
    return [
        (pk, Trigger.MANUAL if wanted is not None else Trigger.PERIODIC)
        for pk, wanted in rows.values_list("id", "asked")
    ]


def reconcile_due() -> int:
    """Reconcile what is due, for some seconds at most; returns how many. One account's trouble keeps the others
    from nothing, and what somebody else is at is left to him."""
    deadline, count = time.monotonic() + RUN_SECONDS_MAX, 0
    for account_id, trigger in due_accounts():
        if time.monotonic() > deadline:
            break
        try:
            reconcile(account_id=account_id, trigger=trigger)
            count += 1
        except AlreadyReconciling:
            continue
        except Exception:
            connection.close_if_unusable_or_obsolete()
            log.exception("reconciling_failed", account_id=str(account_id))
    return count


def prune_reconciliations(*, days: int) -> int:
    """Forget old ones, but the first of each account, which says since when it is ours to judge."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM trading_reconciliation AS old
            WHERE started_at < clock_timestamp() - make_interval(days => %s) AND EXISTS (
                SELECT FROM trading_reconciliation AS earlier
                WHERE earlier.account_id = old.account_id AND earlier.started_at < old.started_at
                    AND earlier.id < old.id)
            AND EXISTS (
                SELECT FROM trading_reconciliation AS later
                WHERE later.account_id = old.account_id AND later.id > old.id AND later.failure = ''
                    AND later.finished_at IS NOT NULL)
            """,
            [days],
        )
        return int(cursor.rowcount)
