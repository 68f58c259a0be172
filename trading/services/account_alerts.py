"""What people are told once about a broker account, and again only after it has been well in between."""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from foundation.clock import database_now
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from portfolios.models import BrokerAccount, Portfolio


@transaction.atomic
def alert_once(
    *, account_id: uuid.UUID, kind: str, since: datetime | None, message: str, **payload: Any
) -> bool:
    """Tell it unless it was told after `since`, when the account was well last (database time; None: never was).

    Whoever finds the same at once waits for the portfolio's lock and finds it told. Returns whether it was told now.
    """
    account = BrokerAccount.objects.only("portfolio_id").get(pk=account_id)
    portfolio = Portfolio.objects.select_for_update(no_key=True).only("id").get(pk=account.portfolio_id)
    told = Alert.objects.filter(stream_id=portfolio.pk, kind=kind)
    if since is not None:
        told = told.filter(created_at__gt=since)
    if told.exists():
        return False
    content = {"account_id": account_id, "reason": message, **payload}
    append([Event(portfolio.pk, kind, database_now(), content, AlertSpec("critical", message[:2000]))])
    return True
