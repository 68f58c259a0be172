"""How much to trade. Pure; every result carries its arithmetic for the decision record.

    fixed           size_value shares, or size_value of cash at the price
    percentage      size_value percent of equity (fixed-fractional sizing; Vince 1990, "Portfolio Management Formulas")
    full_position   all that is held and not promised
    reduce          size_value percent of what is held and not promised, or what the position is worth above
                    size_value percent of equity

A buy never exceeds the room that the rule's `max_position_size` (percent of equity) leaves above what is
held and being bought; a sell never exceeds what is held and not promised to open sells. Quantities round down
to the lot. Methods of the language that are not here are kept from being in force (trading.core.support).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO, round_quantity
from rules.core.actions import PERCENTAGE_OF_POSITION, ActionRequest

HUNDRED = Decimal(100)


@dataclass(frozen=True)
class SizingFacts:
    """Fresh state. equity, exposure in currency; held, reserved in units; price in currency per unit.

    exposure: worth of what is held of this instrument plus its working buys.
    """

    price: Decimal
    equity: Decimal
    held: Decimal
    reserved: Decimal
    exposure: Decimal
    lot: Decimal


@dataclass(frozen=True)
class Sized:
    """quantity in units, 0 for no trade; reason says why when it is 0."""

    quantity: Decimal
    arithmetic: Mapping[str, Any]
    reason: str = ""


def _wanted(action: ActionRequest, facts: SizingFacts) -> tuple[Decimal, dict[str, Any]]:
    """Unrounded quantity by the action's method, and its arithmetic."""
    method = action.sizing_method
    if method == "full_position":
        return facts.held - facts.reserved, {"held": facts.held, "promised_to_open_sells": facts.reserved}
    assert action.size_value is not None, "a validated action of this method has a size"
    value = action.size_value
    if method == "reduce":
        return _reduction(value, action.size_unit, facts)
    if method == "percentage":
        target = facts.equity * value / HUNDRED
        return target / facts.price, {"equity": facts.equity, "size_value": value, "target_value": target}
    assert method == "fixed", f"no rule in force has the sizing method {method!r}"
    if action.size_unit == "cash":
        return value / facts.price, {"target_value": value}
    return value, {"target_quantity": value}


def _reduction(value: Decimal, unit: str | None, facts: SizingFacts) -> tuple[Decimal, dict[str, Any]]:
    """Part of the position, or what is above a size.

    What open sells will take away counts as gone, so that no share is sold twice over.
    """
    arithmetic: dict[str, Any] = {
        "size_value": value,
        "size_unit": unit,
        "held": facts.held,
        "promised_to_open_sells": facts.reserved,
    }
    if unit == PERCENTAGE_OF_POSITION:
        return (facts.held - facts.reserved) * value / HUNDRED, arithmetic
    target = facts.equity * value / HUNDRED
    remaining = (facts.held - facts.reserved) * facts.price
    arithmetic |= {"equity": facts.equity, "target_value": target, "remaining_value": remaining}
    return max(remaining - target, ZERO) / facts.price, arithmetic


def size(action: ActionRequest, *, facts: SizingFacts) -> Sized:
    """Size a validated buy or sell action on fresh facts."""
    wanted, arithmetic = _wanted(action, facts)
    basis = {"method": action.sizing_method, "side": action.side, "price": facts.price, "lot": facts.lot}
    arithmetic = {**basis, **arithmetic}
    reason = "the size comes to less than one lot"
    if action.side == "sell":
        free = facts.held - facts.reserved
        if wanted > free:
            arithmetic["capped_to_free_quantity"] = free
        if free <= 0:
            reason = "nothing is held that is not already being sold"
        elif wanted <= 0 and action.sizing_method == "reduce":
            reason = "the position is not above the size to reduce it to"
        wanted = min(wanted, free)
    elif action.max_position_size is not None:
        room = max(facts.equity * action.max_position_size / HUNDRED - facts.exposure, ZERO)
        arithmetic |= {
            "max_position_size": action.max_position_size,
            "exposure": facts.exposure,
            "room": room,
        }
        if wanted * facts.price > room:
            wanted = room / facts.price
            reason = "the position is at the rule's max_position_size"
    quantity = round_quantity(max(wanted, ZERO), facts.lot)
    arithmetic["quantity"] = quantity
    return Sized(quantity=quantity, arithmetic=arithmetic, reason="" if quantity > 0 else reason)
