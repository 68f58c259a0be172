"""A session's performance from its booked trades. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO


@dataclass(frozen=True)
class ClosedTrade:
    """Realised profit of one filled sell in currency, after its own fee; fees of any filled trade.

    A buy realises nothing, unless its fill was reversed when not all of its units could carry their cost.
    """

    side: str
    realised: Decimal
    fee: Decimal


def summarise(trades: Sequence[ClosedTrade], *, unrealised: Decimal | None) -> dict[str, Any]:
    """Counts, profit and win rate. `unrealised` None: the price of something held is unknown.

    win_rate = winning sells / sells; profit_factor = Σ gains / Σ losses, None without a loss.
    """
    sells = [trade for trade in trades if trade.side == "sell"]
    gains = sum((t.realised for t in sells if t.realised > 0), ZERO)
    losses = -sum((t.realised for t in sells if t.realised < 0), ZERO)
    of_buys = sum((t.realised - t.fee for t in trades if t.side == "buy"), ZERO)
    return {
        "total_trades": len(trades),
        "successful_trades": sum(1 for t in sells if t.realised > 0),
        "realised_pnl": gains - losses + of_buys,
        "unrealised_pnl": unrealised,
        "fees": sum((t.fee for t in trades), ZERO),
        "win_rate": (Decimal(sum(1 for t in sells if t.realised > 0)) / len(sells)).quantize(
            Decimal("0.0001")
        )
        if sells
        else None,
        "profit_factor": (gains / losses).quantize(Decimal("0.0001")) if losses else None,
    }
