"""What people must hear of brokers: told once, and again only when somebody has acknowledged it."""

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction

from foundation.clock import database_now
from journal.core.events import AlertSpec, Event, Severity
from journal.models import Alert
from journal.services.journal import append
from portfolios.models import BrokerAccount
from trading.models import AutoTrade, ReconciliationBreak
from trading.services.breaks import record_break

log = structlog.get_logger(__name__)


def tell_not_connected(account: BrokerAccount, reason: str) -> None:
    """Its orders wait, and market orders expire."""
    log.warning("broker_not_connected", account_id=str(account.id), reason=reason)
    message = f"No order of this portfolio can be sent to {account.broker}: {reason}"
    payload = {"account_id": account.id, "broker": account.broker, "reason": reason}
    _tell_once(account.portfolio_id, "broker.not_connected", "critical", message, payload)


def tell_bad_report(trade: AutoTrade, reason: str) -> None:
    """It said of this order what cannot be true: nothing of it was believed, and the account is halted."""
    log.warning("bad_report", trade_id=str(trade.id), reason=reason)
    record_break(
        account_id=trade.account_id, kind=ReconciliationBreak.Kind.BAD_REPORT, key=f"order {trade.client_order_id}",
        ours={"status": trade.status, "filled": trade.filled_quantity, "trade_id": trade.pk}, theirs={}, detail=reason,
    )  # fmt: skip


@transaction.atomic
def _tell_once(
    stream: uuid.UUID, kind: str, severity: Severity, message: str, payload: Mapping[str, Any]
) -> None:
    waiting = Alert.objects.filter(stream=stream, kind=kind, acknowledged_at=None)
    if not waiting.exists():
        append([Event(stream, kind, database_now(), dict(payload), AlertSpec(severity, message[:2000]))])
