"""What may be shown of the account that a portfolio trades on."""

import uuid
from typing import Any

from django.conf import settings

from foundation.errors import NotFound
from portfolios.models import BrokerAccount
from trading.brokers.connections import capabilities_of


def shown_connection(portfolio_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound."""
    rows = BrokerAccount.objects.select_related("credential__set_by")
    account = rows.filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise NotFound("This portfolio has no account.")
    credential, capabilities = getattr(account, "credential", None), capabilities_of(account)
    return {
        "id": account.id,
        "broker": account.broker,
        "is_live": account.is_live,
        "account_number": account.account_number,
        "key_hint": credential.hint if credential else None,
        "keys_set_at": credential.set_at if credential else None,
        "keys_set_by": credential.set_by.get_username() if credential and credential.set_by else None,
        "live_allowed": settings.ALLOW_LIVE_TRADING,
        "order_types": sorted(capabilities.order_types),
        "times_in_force": sorted(capabilities.times_in_force),
        "fractional": capabilities.fractional,
    }
