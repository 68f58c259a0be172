"""Position arithmetic at average cost, exact in Decimal."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from foundation.core.money import ZERO, round_money


class Oversold(ValueError):
    """A fill sells more than is held."""


@dataclass(frozen=True)
class PositionState:
    """quantity in units; average_cost in currency per unit; realised_pnl in currency, before fees."""

    quantity: Decimal = ZERO
    average_cost: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    opened_at: datetime | None = None


def after_buy(state: PositionState, *, quantity: Decimal, price: Decimal, at: datetime) -> PositionState:
    """The average cost becomes the mean of old and new, weighted by quantity."""
    assert quantity > 0 and price > 0
    total = state.quantity + quantity
    cost = round_money((state.quantity * state.average_cost + quantity * price) / total)
    if state.quantity == 0:
        return replace(state, quantity=total, average_cost=cost, opened_at=at)
    return replace(state, quantity=total, average_cost=cost)


def after_sell(state: PositionState, *, quantity: Decimal, price: Decimal) -> PositionState:
    """Realises (price - average cost) x quantity; the average cost of the rest stays. Raises Oversold."""
    assert quantity > 0 and price > 0
    if quantity > state.quantity:
        raise Oversold(f"sells {quantity}, holds {state.quantity}")
    realised = state.realised_pnl + round_money((price - state.average_cost) * quantity)
    rest = state.quantity - quantity
    if rest == 0:
        return PositionState(realised_pnl=realised)
    return replace(state, quantity=rest, realised_pnl=realised)
