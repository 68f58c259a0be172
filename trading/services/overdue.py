"""What takes too long at a broker, so that a person must speak to it: cancels that do not come through, and stops that
are not drained. Each is told once as long as it lasts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from foundation.clock import database_now
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from portfolios.models import BrokerAccount
from trading.core.order_states import OrderState
from trading.models import AutoTrade, Halt
from trading.services.account_alerts import alert_once
from trading.services.emergency_stop import stream_of
from trading.services.halted_orders import told_left

UNDRAINED_SECONDS = 60.0
NAMED_MAX = 20


def watch_cancels() -> None:
    """Of each account whose broker was asked to cancel for BROKER_QUARANTINE_SECONDS and has not said that it did."""
    patience = timedelta(seconds=settings.BROKER_QUARANTINE_SECONDS)
    rows = (
        AutoTrade.objects.filter(
            status=OrderState.CANCELLING, cancel_requested_at__lt=database_now() - patience
        )
        .exclude(account__broker=BrokerAccount.Broker.PAPER)
        .order_by("cancel_requested_at")
    )
    overdue: dict[UUID, list[AutoTrade]] = {}
    for trade in rows:
        overdue.setdefault(trade.account_id, []).append(trade)
    for account_id, trades in overdue.items():
        first = trades[0]
        assert first.cancel_requested_at is not None
        message = (
            f"{len(trades)} orders are not cancelled although the broker was asked, the first since "
            f"{first.cancel_requested_at:%Y-%m-%d %H:%M:%S} UTC: {first.client_order_id} ({first}). Speak to it."
        )
        alert_once(
            account_id=account_id, kind="orders.not_cancelled", since=first.cancel_requested_at + patience,
            message=message, client_order_ids=[trade.client_order_id for trade in trades[:NAMED_MAX]],
        )  # fmt: skip


def watch_draining() -> None:
    """Of stops in whose scope something is in flight, or works at a broker, long after they were armed."""
    patience = timedelta(seconds=UNDRAINED_SECONDS)
    undrained = Halt.objects.filter(
        drained_at=None, released_at=None, armed_at__lt=database_now() - patience
    ).order_by("armed_at", "id")
    by_stream: dict[UUID, list[Halt]] = {}
    for halt in undrained:
        by_stream.setdefault(stream_of(halt), []).append(halt)
    for stream, halts in sorted(by_stream.items()):
        _tell_undrained(stream, [halt.pk for halt in halts], since=halts[0].armed_at + patience)


@transaction.atomic
def _tell_undrained(stream: UUID, ids: Iterable[UUID], *, since: datetime) -> None:
    """Of several who find it at once one tells it: the others wait for the rows."""
    rows = Halt.objects.select_for_update(no_key=True).filter(pk__in=ids, drained_at=None, released_at=None)
    halts = list(rows.order_by("armed_at", "id"))
    kind = "halt.not_drained"
    if not halts or Alert.objects.filter(stream_id=stream, kind=kind, created_at__gt=since).exists():
        return
    first = halts[0]
    message = (
        f"Emergency stop ({first}) is not drained since {first.armed_at:%Y-%m-%d %H:%M:%S} UTC: {told_left(first)}. An "
        "order in its scope is in flight, or works at its broker: speak to that. Or a portfolio is locked or cannot be "
        "written: the log says which."
    )
    content = {"halt_ids": [halt.pk for halt in halts[:NAMED_MAX]], "reason": message}
    append([Event(stream, kind, database_now(), content, AlertSpec("critical", message[:2000]))])
