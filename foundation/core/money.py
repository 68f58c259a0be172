"""Money, prices and quantities are Decimal. Rounding happens here and nowhere else."""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

PLACES = Decimal("0.00000001")  # NUMERIC(20,8)
CENT = Decimal("0.01")
ZERO = Decimal(0)


def as_decimal(value: float | int | str | Decimal) -> Decimal:
    """Exact for text and Decimal; a float becomes its shortest text first, rounded to 8 places.

    Raises ValueError for NaN and infinities: they are unknown facts, not amounts.
    """
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return number.quantize(PLACES, rounding=ROUND_HALF_EVEN) if isinstance(value, float) else number


def round_quantity(quantity: Decimal, lot: Decimal) -> Decimal:
    """Down to a multiple of the instrument's lot: never more than was allowed or is held."""
    assert lot > 0
    return ((quantity / lot).quantize(Decimal(1), rounding=ROUND_DOWN) * lot).quantize(PLACES)


def round_money(amount: Decimal) -> Decimal:
    """To the column's 8 places, half to even, so that a sum of parts stays exact in the ledger."""
    return amount.quantize(PLACES, ROUND_HALF_EVEN)  # by its name it takes twice as long


def rounded_down(estimate: Decimal) -> Decimal:
    """To 8 places, never above it: for what must not be believed too high, such as a chance or a gain."""
    return estimate.quantize(PLACES, rounding=ROUND_FLOOR)


def rounded_up(estimate: Decimal) -> Decimal:
    """To 8 places, never below it: for what must not be believed too low, such as a loss."""
    return estimate.quantize(PLACES, rounding=ROUND_CEILING)
