"""Position arithmetic at average cost, exact in Decimal.

What is kept is the *cost* of what is held; the average cost is only derived from it. Every change obeys

    change of cost = change of realised profit - change of cash

in amounts of eight places, so that Σ cost = Σ realised profit - Σ cash of the market for ever, without drift.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from foundation.core.money import ZERO, round_money
from foundation.core.quick import quick_init


class Oversold(ValueError):
    """A change takes more than is held."""


@quick_init
@dataclass(frozen=True)
class PositionState:
    """quantity in units; cost and realised_pnl in currency, before fees; opened_at in market time."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    opened_at: datetime | None = None

    @property
    def average_cost(self) -> Decimal:
        """In currency per unit, to eight places; 0 when nothing is held."""
        return round_money(self.cost / self.quantity) if self.quantity else ZERO


def after_buy(
    state: PositionState, *, quantity: Decimal, amount: Decimal, at: datetime | None
) -> PositionState:
    """`amount` is what was paid, before fees: the very amount that moved in the ledger."""
    assert quantity > 0 and amount >= 0
    opened_at = at if state.quantity == 0 else state.opened_at
    return replace(state, quantity=state.quantity + quantity, cost=state.cost + amount, opened_at=opened_at)


def after_sell(state: PositionState, *, quantity: Decimal, amount: Decimal) -> PositionState:
    """Takes cost in proportion, the last unit all that is left, and realises amount - cost. Raises Oversold."""
    assert quantity > 0 and amount >= 0
    if quantity > state.quantity:
        raise Oversold(f"sells {quantity}, holds {state.quantity}")
    rest = state.quantity - quantity
    taken = round_money(state.cost * quantity / state.quantity) if rest else state.cost
    realised = state.realised_pnl + amount - taken
    if rest == 0:
        return PositionState(realised_pnl=realised)
    return replace(state, quantity=rest, cost=state.cost - taken, realised_pnl=realised)


def after_split(state: PositionState, *, added: Decimal, at: datetime | None) -> PositionState:
    """`added` units without a price (negative in a reverse split): the cost stays and spreads anew. Raises Oversold.

    Where nothing is left (a reverse split down to nothing), the cost is a loss.
    """
    return _settled(
        state, quantity=state.quantity + added, cost=state.cost, realised=state.realised_pnl, at=at
    )


def after_reversal(
    state: PositionState, *, quantity: Decimal, cash: Decimal, realised: Decimal, at: datetime | None
) -> PositionState:
    """Undo, as of now, an entry that changed the position by `quantity`, cash by `cash` (negative for a buy,
    before fees), and realised `realised`. Raises Oversold when the units are gone.

    What was sold comes back at the cost that it took, what was bought leaves with what was paid for it. Where
    nothing is left to carry the cost, or it would be negative, the difference is realised.
    """
    return _settled(
        state,
        quantity=state.quantity - quantity,
        cost=state.cost + cash - realised,
        realised=state.realised_pnl - realised,
        at=at,
    )


def _settled(
    state: PositionState, *, quantity: Decimal, cost: Decimal, realised: Decimal, at: datetime | None
) -> PositionState:
    if quantity < 0:
        raise Oversold(f"takes {state.quantity - quantity}, holds {state.quantity}")
    if quantity == 0:
        return PositionState(realised_pnl=realised - cost)
    if cost < 0:
        cost, realised = ZERO, realised - cost
    return PositionState(
        quantity=quantity, cost=cost, realised_pnl=realised,
        opened_at=state.opened_at if state.quantity else at,
    )  # fmt: skip
