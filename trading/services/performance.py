"""How a session does: its booked trades, and what it holds at the current prices."""

import uuid
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO
from foundation.errors import NotFound
from market.services import snapshots
from portfolios.models import Position
from sessions.models import TradingSession
from trading.core.performance import ClosedTrade, summarise
from trading.models import AutoTrade


def get_session_performance(session_id: uuid.UUID) -> dict[str, Any]:
    """Trades, realised and unrealised profit, fees and win rate of one session. Raises NotFound."""
    row = TradingSession.objects.filter(pk=session_id).first()
    if row is None:
        raise NotFound(f"There is no session {session_id}.")
    filled = AutoTrade.objects.filter(session=row, filled_quantity__gt=0)
    trades = [
        ClosedTrade(side=side, realised=realised - (fees if side == "sell" else ZERO), fee=fees)
        for side, realised, fees in filled.values_list("trade_type", "realised_pnl", "fees")
    ]
    return {"session_id": row.id, **summarise(trades, unrealised=_unrealised(row.portfolio_id))}


def _unrealised(portfolio_id: uuid.UUID) -> Decimal | None:
    """Of everything the portfolio holds; None while a price is unknown."""
    snapshot = snapshots.current()
    total = ZERO
    held = Position.objects.filter(portfolio_id=portfolio_id, quantity__gt=0).select_related("instrument")
    for position in held:
        price = snapshot.price(position.instrument.symbol) if snapshot is not None else None
        if price is None:
            return None
        total += price * position.quantity - position.cost
    return total
