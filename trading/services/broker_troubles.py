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
from trading.models import AutoTrade

log = structlog.get_logger(__name__)


def tell_not_connected(account: BrokerAccount, reason: str) -> None:
    """Its orders wait, and market orders expire."""
    log.warning("broker_not_connected", account_id=str(account.id), reason=reason)
    message = f"No order of this portfolio can be sent to {account.broker}: {reason}"
    payload = {"account_id": account.id, "broker": account.broker, "reason": reason}
    _tell_once(account.portfolio_id, "broker.not_connected", "critical", message, payload)


def tell_bad_report(trade: AutoTrade, reason: str) -> None:
    """It said of this order what cannot be true: nothing of it was believed."""
    log.warning("bad_report", trade_id=str(trade.id), reason=reason)
    message = f"The broker says of order {trade.client_order_id} what cannot be true: {reason}"
    payload = {"trade_id": trade.id, "client_order_id": trade.client_order_id, "reason": reason}
    _tell_once(trade.portfolio_id, "trade.bad_report", "critical", message, payload)


@transaction.atomic
def _tell_once(
    stream: uuid.UUID, kind: str, severity: Severity, message: str, payload: Mapping[str, Any]
) -> None:
    waiting = Alert.objects.filter(stream=stream, kind=kind, acknowledged_at=None)
    if not waiting.exists():
        append([Event(stream, kind, database_now(), dict(payload), AlertSpec(severity, message[:2000]))])
