"""Sizing on fresh state: the action's wish and the portfolio's room become a quantity."""

from decimal import Decimal

from market.models import Instrument
from rules.core.actions import PERCENTAGE_OF_POSITION, ActionRequest
from trading.core.sizing import Sized, size
from trading.services.fresh_state import FreshState


def size_action(
    state: FreshState, action: ActionRequest, *, instrument: Instrument
) -> tuple[Sized, Decimal | None]:
    """(size with its arithmetic, the price that it rests on). An unknown price or equity gives no size."""
    price = state.price(instrument)
    equity = state.sizing_equity()
    if price is None:
        return Sized(quantity=Decimal(0), arithmetic={}, reason="the price is unknown"), None
    of_position = action.sizing_method == "full_position" or action.size_unit == PERCENTAGE_OF_POSITION
    if equity.is_nan() and not of_position:
        return Sized(quantity=Decimal(0), arithmetic={}, reason="the portfolio's equity is unknown"), price
    known_equity = Decimal(0) if equity.is_nan() else equity
    return size(action, facts=state.sizing_facts(instrument, price, known_equity)), price
