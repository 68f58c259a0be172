"""Sales by protections that their brokers have rejected."""

import uuid
from collections.abc import Collection
from datetime import timedelta

from foundation.clock import database_now
from trading.core.order_states import OrderState
from trading.core.rejected_sales import WITHIN_SECONDS, Rejections
from trading.models import AutoTrade


def rejected_protective_sales(portfolio_ids: Collection[uuid.UUID]) -> dict[str, Rejections]:
    """By protection (`protection:{id}`), whose last sales were rejected. A position that is opened anew has another."""
    now = database_now()
    rows = (
        AutoTrade.objects.filter(
            portfolio_id__in=portfolio_ids, origin=AutoTrade.Origin.PROTECTION,
            created_at__gt=now - timedelta(seconds=WITHIN_SECONDS),
        )
        .order_by("-created_at")
        .values_list("actor", "status", "created_at")
    )  # fmt: skip
    sales: dict[str, list[tuple[bool, float]]] = {}
    for actor, status, created_at in rows:
        one = (status == OrderState.REJECTED, (now - created_at).total_seconds())
        sales.setdefault(actor.split(" ")[0], []).append(one)
    found = {key: Rejections.in_a_row(mine) for key, mine in sales.items()}
    return {key: rejected for key, rejected in found.items() if rejected is not None}
