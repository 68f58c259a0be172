"""The paper market: what a market order gets against a quote. Pure and deterministic.

A buy pays the ask and a sell gets the bid, each worsened by the account's slippage, at the instrument's tick.
The fee is basis points of the value with a minimum for each fill. (Partial fills against volume, limit and
stop orders come with the order types that need them.)
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from foundation.core.money import PLACES, round_money

BPS = Decimal(10_000)


@dataclass(frozen=True)
class Costs:
    """fee_bps and slippage_bps in basis points, fee_minimum in currency for each fill."""

    fee_bps: Decimal
    fee_minimum: Decimal
    slippage_bps: Decimal


@dataclass(frozen=True)
class PaperFill:
    """price in currency per unit, fee in currency."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


def _to_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    """Against the order: a buy rounds up and a sell down, so that rounding never flatters a result."""
    return ((price / tick).quantize(Decimal(1), rounding=rounding) * tick).quantize(PLACES)


def fee_of(value: Decimal, costs: Costs) -> Decimal:
    return round_money(max(value * costs.fee_bps / BPS, costs.fee_minimum))


def match_market(
    *, side: str, quantity: Decimal, bid: Decimal, ask: Decimal, tick: Decimal, costs: Costs
) -> PaperFill:
    """Fill the whole of a market order at the touch."""
    assert quantity > 0 and 0 < bid <= ask
    slip = costs.slippage_bps / BPS
    if side == "buy":
        price = _to_tick(ask * (1 + slip), tick, ROUND_CEILING)
    else:
        price = max(_to_tick(bid * (1 - slip), tick, ROUND_FLOOR), tick)
    return PaperFill(quantity=quantity, price=price, fee=fee_of(quantity * price, costs))


def cost_to_reserve(*, quantity: Decimal, ask: Decimal, costs: Costs, cushion_bps: Decimal) -> Decimal:
    """Cash to set aside for a market buy: value at the ask, slippage, a cushion for the market's move, and the fee."""
    value = quantity * ask * (1 + (costs.slippage_bps + cushion_bps) / BPS)
    return round_money(value) + fee_of(value, costs)
