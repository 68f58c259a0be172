"""What the paper market charges: slippage, price impact and fees, and what must be set aside for them. Pure.

    price   = touch × (1 ± (slippage_bps + price_impact_bps × share²) / 10,000), at the tick, against the order
    share   = quantity filled / volume of the last completed bar, at most 1; unknown volume counts as all of it
    fee     = max(value × fee_bps / 10,000 + quantity × fee_per_unit, fee_minimum), of an order: each fill pays what
              the order owes with it and has not paid yet

The square of the share of the volume, and a share of the volume as the most that is filled at once, are those of
zipline's and LEAN's `VolumeShareSlippageModel` (zipline `finance/slippage.py`, LEAN
`Common/Orders/Slippage/VolumeShareSlippageModel.cs`); the slippage that comes with every fill, whatever its size, is
LEAN's `ConstantSlippageModel`. How orders are matched: `paper_matching`.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from foundation.core.money import PLACES, ZERO, round_money
from foundation.core.quick import quick_init

BPS = Decimal(10_000)
PERCENT = Decimal(100)


@quick_init
@dataclass(frozen=True, kw_only=True)
class PaperModel:
    """How the paper market treats an account; what is left out costs and limits nothing.

    *_bps in basis points of the value, fee_per_unit and fee_minimum in currency, percentages 0..100 (a volume limit of
    0 is none), latency in milliseconds of market time.
    """

    fee_bps: Decimal = ZERO
    fee_per_unit: Decimal = ZERO
    fee_minimum: Decimal = ZERO
    slippage_bps: Decimal = ZERO
    price_impact_bps: Decimal = ZERO
    volume_limit_percentage: Decimal = ZERO
    latency_ms: int = 0
    touch_fill_percentage: Decimal = PERCENT
    seed: int = 0


@dataclass(frozen=True)
class Paid:
    """What was filled of an order so far: units, their value, and the fees of it, in currency."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    fees: Decimal = ZERO


NOTHING = Paid()


def fee_of(*, quantity: Decimal, price: Decimal, model: PaperModel, before: Paid = NOTHING) -> Decimal:
    """Of one fill, in currency. The minimum is of the order, as brokers have it (and LEAN's fee models), so an order in
    many parts pays it once."""
    value, units = before.value + quantity * price, before.quantity + quantity
    owed = max(value * model.fee_bps / BPS + units * model.fee_per_unit, model.fee_minimum)
    return max(round_money(owed) - before.fees, ZERO)


def _impact_bps(*, quantity: Decimal, volume: Decimal | None, model: PaperModel) -> Decimal:
    if model.price_impact_bps == 0:
        return ZERO
    share = min(quantity / volume, Decimal(1)) if volume is not None and volume > 0 else Decimal(1)
    return model.price_impact_bps * share**2


def market_price(
    *, side: str, quantity: Decimal, touch: Decimal, volume: Decimal | None, tick: Decimal, model: PaperModel
) -> Decimal:
    """What a fill of so much costs a unit. Rounded to the tick against the order, so that rounding never flatters: a
    sale gets a tick at least, and where less is bid, what is bid."""
    worse = (model.slippage_bps + _impact_bps(quantity=quantity, volume=volume, model=model)) / BPS
    if side == "buy":
        return _to_tick(touch * (1 + worse), tick, ROUND_CEILING)
    return max(_to_tick(touch * (1 - worse), tick, ROUND_FLOOR), min(tick, touch))


def _to_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return ((price / tick).quantize(Decimal(1), rounding=rounding) * tick).quantize(PLACES)


def cost_to_reserve(*, quantity: Decimal, ask: Decimal, costs: PaperModel, cushion_bps: Decimal) -> Decimal:
    """Cash to set aside for a buy: value at the ask, slippage, the most impact, a cushion for the market's move, and
    the fee.

    The volume at the fill is not known yet, so the impact is that of the largest share that a fill may have.
    """
    share = costs.volume_limit_percentage / PERCENT if costs.volume_limit_percentage > 0 else Decimal(1)
    worse = costs.slippage_bps + costs.price_impact_bps * share**2 + cushion_bps
    price = ask * (1 + worse / BPS)
    return round_money(quantity * price) + fee_of(quantity=quantity, price=price, model=costs)
