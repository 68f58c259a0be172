"""How much to trade. Pure; every result carries its arithmetic for the decision record.

    fixed              size_value shares, or size_value of cash at the price
    percentage         size_value percent of equity
    kelly              up to the part size_value of the full Kelly bet (trading.core.kelly)
    volatility_target  up to the position that adds size_value percent of equity in volatility a year
    risk_per_trade     what adds size_value percent of equity to the loss when the stop is hit
    full_position      all that is held and not promised
    reduce             size_value percent of what is held and not promised, or what the position is worth above
                       size_value percent of equity

`kelly` and `volatility_target` say how large a position should be, so what is held and being bought of it counts and
only the rest is bought; the other buys are on top of what is held. A buy never exceeds the room that the rule's
`max_position_size` (percent of equity) leaves above what is held and being bought, and it is none where its own stop
would sell everything at once; a sell never exceeds what is held and not promised to open sells. Quantities round down
to the lot. What a method needs and does not know gives no size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO, round_money, round_quantity
from rules.core.actions import PERCENTAGE_OF_POSITION, ActionRequest
from trading.core.kelly import NoOdds, Odds, kelly_bet, no_edge

HUNDRED = Decimal(100)
LESS_THAN_A_LOT = "the size comes to less than one lot"


def _nobody_asked() -> NoOdds:
    return NoOdds("nobody asked for the odds")


@dataclass(frozen=True)
class SizingFacts:
    """Fresh state. equity, exposure, cost (of what is held) in currency; held, reserved in units; price in currency
    per unit.

    exposure: worth of what is held of this instrument plus its working buys. volatility: annualised, a fraction;
    None: unknown. odds: looked at by `kelly` only.
    """

    price: Decimal
    equity: Decimal
    held: Decimal
    reserved: Decimal
    exposure: Decimal
    lot: Decimal
    cost: Decimal = ZERO
    volatility: Decimal | None = None
    odds: Odds | NoOdds = field(default_factory=_nobody_asked)


@dataclass(frozen=True)
class Sized:
    """quantity in units, 0 for no trade; reason says why when it is 0."""

    quantity: Decimal
    arithmetic: Mapping[str, Any]
    reason: str = ""


@dataclass(frozen=True)
class _Wanted:
    """Unrounded and uncapped; `reason` for the case that nothing comes of it."""

    quantity: Decimal
    arithmetic: Mapping[str, Any] = field(default_factory=dict)
    reason: str = LESS_THAN_A_LOT


def _value_of(action: ActionRequest) -> Decimal:
    assert action.size_value is not None, "a validated action of this method has a size"
    return action.size_value


def _fixed(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    value = _value_of(action)
    if action.size_unit == "cash":
        return _Wanted(value / facts.price, {"target_value": value})
    return _Wanted(value, {"target_quantity": value})


def _percentage(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    """Fixed-fractional in value: target = equity × size_value %."""
    value = _value_of(action)
    target = facts.equity * value / HUNDRED
    told = {"equity": facts.equity, "size_value": value, "target_value": target}
    return _Wanted(target / facts.price, told)


def _kelly(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    """target = equity × size_value × max(p/a - q/b, 0); Kelly 1956, Thorp 2006 (trading.core.kelly)."""
    odds = facts.odds
    if isinstance(odds, NoOdds):
        return _Wanted(ZERO, odds.basis, odds.reason)
    bet, told = kelly_bet(odds, fraction=_value_of(action))
    if bet <= 0:
        return _Wanted(ZERO, told, no_edge(odds))
    return _up_to(facts.equity * bet, facts, told, "its Kelly size")


def _volatility_target(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    """target = equity × size_value % / σ, so that σ × target is size_value percent of equity a year.

    T. J. Moskowitz, Y. H. Ooi, L. H. Pedersen, "Time Series Momentum", Journal of Financial Economics 104 (2012),
    equation 5 (positions of 40 %/σ); R. Carver, "Systematic Trading" (2015), chapter 9 (volatility targeting).
    """
    value, volatility = _value_of(action), facts.volatility
    if volatility is None or not volatility.is_finite():
        return _Wanted(ZERO, {"size_value": value}, f"the volatility of {action.symbol} is unknown")
    told = {"size_value": value, "volatility": volatility}
    if volatility <= 0:
        return _Wanted(ZERO, told, f"{action.symbol} has no volatility: no size has the one that is wanted")
    return _up_to(facts.equity * value / HUNDRED / volatility, facts, told, "its size by volatility")


def _up_to(target: Decimal, facts: SizingFacts, told: Mapping[str, Any], size_name: str) -> _Wanted:
    """What the position misses of its target value, what is being bought of it counted as held."""
    missing = max(target - facts.exposure, ZERO)
    told = {**told, "equity": facts.equity, "target_value": target, "exposure": facts.exposure}
    reason = LESS_THAN_A_LOT if missing > 0 else f"the position is at {size_name}"
    return _Wanted(missing / facts.price, {**told, "missing_value": missing}, reason)


def _risk_per_trade(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    """quantity = C/R: what may be lost, equity × size_value %, over a unit's loss, price × stop_loss_percentage %.

    What is held changes nothing: the stop counts from the average cost of all (trading.core.protections), so when it is
    hit the position loses that percentage of all that it has cost, of which the buy's part is quantity × price.
    Fixed-fractional risk: R. Vince, "Portfolio Management Formulas" (1990); V. K. Tharp, "Trade Your Way to Financial
    Freedom" (1998), whose C, P and R these are. A gap through the stop loses more.
    """
    value, stop = _value_of(action), action.stop_loss_percentage
    assert stop is not None and stop > 0, "a validated action of this method has a stop"
    risked, loss = facts.equity * value / HUNDRED, facts.price * stop / HUNDRED
    told = {"equity": facts.equity, "size_value": value, "risked_value": risked, "stop_loss_percentage": stop}
    return _Wanted(risked / loss, {**told, "loss_per_unit": loss})


def _full_position(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    told = {"held": facts.held, "promised_to_open_sells": facts.reserved}
    return _Wanted(facts.held - facts.reserved, told)


def _reduce(action: ActionRequest, facts: SizingFacts) -> _Wanted:
    """Part of the position, or what is above a size.

    What open sells will take away counts as gone, so that no share is sold twice over.
    """
    value, free = _value_of(action), facts.held - facts.reserved
    told: dict[str, Any] = {
        "size_value": value,
        "size_unit": action.size_unit,
        "held": facts.held,
        "promised_to_open_sells": facts.reserved,
    }
    if action.size_unit == PERCENTAGE_OF_POSITION:
        return _Wanted(free * value / HUNDRED, told)
    target, remaining = facts.equity * value / HUNDRED, free * facts.price
    told |= {"equity": facts.equity, "target_value": target, "remaining_value": remaining}
    above = max(remaining - target, ZERO)
    reason = LESS_THAN_A_LOT if above > 0 else "the position is not above the size to reduce it to"
    return _Wanted(above / facts.price, told, reason)


METHODS: Mapping[str, Callable[[ActionRequest, SizingFacts], _Wanted]] = {
    "fixed": _fixed,
    "percentage": _percentage,
    "kelly": _kelly,
    "volatility_target": _volatility_target,
    "risk_per_trade": _risk_per_trade,
    "full_position": _full_position,
    "reduce": _reduce,
}


def needs_equity(action: ActionRequest) -> bool:
    """Whether its size hangs on what the portfolio is worth, and so on the price of everything that is held.

    Of sells only what is a part of equity does; no buy is made without it.
    """
    of_position = action.sizing_method == "full_position" or action.size_unit == PERCENTAGE_OF_POSITION
    return not of_position and (action.side == "buy" or action.sizing_method != "fixed")


def _stop_after(action: ActionRequest, facts: SizingFacts, quantity: Decimal) -> Decimal | None:
    """At which price the position would be stopped out once the buy is filled; None where the buy brings no stop, or
    nothing is held whose cost is another."""
    stop = action.stop_loss_percentage
    if action.side != "buy" or stop is None or not (quantity > 0 and facts.held > 0):
        return None
    average_cost = (facts.cost + quantity * facts.price) / (facts.held + quantity)
    return average_cost * (1 - stop / HUNDRED)


def size(action: ActionRequest, *, facts: SizingFacts) -> Sized:
    """Size a validated buy or sell action on fresh facts."""
    wish = METHODS[action.sizing_method](action, facts)
    wanted, reason = wish.quantity, wish.reason
    basis = {"method": action.sizing_method, "side": action.side, "price": facts.price, "lot": facts.lot}
    arithmetic = {**basis, **wish.arithmetic}
    if action.side == "sell":
        free = facts.held - facts.reserved
        if wanted > free:
            arithmetic["capped_to_free_quantity"] = free
        if free <= 0:
            reason = "nothing is held that is not already being sold"
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
    stop = _stop_after(action, facts, quantity)
    if stop is not None and stop >= facts.price:
        arithmetic["stop_after"], quantity = round_money(stop), ZERO
        reason = "the stop of the whole position would not be below the price, and sell it at once"
    arithmetic["quantity"] = quantity
    return Sized(quantity=quantity, arithmetic=arithmetic, reason="" if quantity > 0 else reason)
