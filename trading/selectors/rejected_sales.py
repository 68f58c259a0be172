"""Sales by protections that their brokers have rejected."""

import uuid
from collections.abc import Collection
from datetime import timedelta

from foundation.clock import database_now
from trading.core.order_states import OrderState
from trading.core.rejected_sales import WITHIN_SECONDS, Rejections
from trading.models import AutoTrade


def rejected_protective_sales(
    portfolio_ids: Collection[uuid.UUID],
) -> dict[tuple[uuid.UUID, int], Rejections]:
    """Of positions, by portfolio and instrument, whose last sales by their protection were rejected."""
    now = database_now()
    rows = (
        AutoTrade.objects.filter(
            portfolio_id__in=portfolio_ids, origin=AutoTrade.Origin.PROTECTION,
            created_at__gt=now - timedelta(seconds=WITHIN_SECONDS),
        )
        .order_by("-created_at")
        .values_list("portfolio_id", "instrument_id", "status", "created_at")
    )  # fmt: skip
    sales: dict[tuple[uuid.UUID, int], list[tuple[bool, float]]] = {}
    for portfolio_id, instrument_id, status, created_at in rows:
        one = (status == OrderState.REJECTED, (now - created_at).total_seconds())
        sales.setdefault((portfolio_id, instrument_id), []).append(one)
    found = {key: Rejections.in_a_row(mine) for key, mine in sales.items()}
    return {key: rejected for key, rejected in found.items() if rejected is not None}
