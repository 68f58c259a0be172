"""What is held is worth, at the prices of one snapshot. Decimal; None where a price is unknown."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from foundation.core.money import ZERO, round_money
from market.core.snapshot import MarketSnapshot
from portfolios.models import Position


@dataclass(frozen=True)
class Worth:
    """In the portfolio's currency; `price` in currency per unit."""

    price: Decimal | None
    market_value: Decimal | None
    unrealised_pnl: Decimal | None


def worth_of(
    position: Position, snapshot: MarketSnapshot | None, *, unsettled: Collection[tuple[uuid.UUID, int]]
) -> Worth:
    """The position needs its instrument loaded. `unsettled`: (portfolio, instrument) whose price and quantity count in
    different units (`selectors.unsettled_splits`); it is asked for before the others are read, so that a split that is
    booked in between leaves the price unknown."""
    if position.quantity == 0:
        return Worth(price=None, market_value=ZERO, unrealised_pnl=ZERO)
    price = snapshot.price(position.instrument.symbol) if snapshot is not None else None
    if price is None or (position.portfolio_id, position.instrument_id) in unsettled:
        return Worth(price=None, market_value=None, unrealised_pnl=None)
    return Worth(
        price=price,
        market_value=round_money(position.quantity * price),
        unrealised_pnl=round_money(position.quantity * price) - position.cost,
    )


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, or None as soon as one of them is unknown: a part is not the whole."""
    known = list(amounts)
    return None if any(amount is None for amount in known) else sum((a for a in known if a is not None), ZERO)
