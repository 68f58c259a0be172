"""What a corporate action does to a holding, exact in Decimal. Pure."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from foundation.core.money import CENT, PLACES, round_quantity


def in_cents(amount: Decimal) -> Decimal:
    """Paid in whole cents, half a cent up, as a paying agent does."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def dividend(quantity: Decimal, *, amount: Decimal) -> Decimal:
    """Cash for the units held just before the ex time."""
    return in_cents(quantity * amount)


@dataclass(frozen=True)
class SplitTerms:
    """`added` units (negative: taken away), of the whole of which `fraction` is no whole unit and is sold."""

    added: Decimal
    fraction: Decimal


def split(quantity: Decimal, *, new_units: int, old_units: int, lot: Decimal) -> SplitTerms:
    """new_units for every old_units. What the books' 8 places cannot hold of the result is dropped.

    What is sold is the part of a unit, or of a lot smaller than that: a company pays cash for fractions of a share, and
    an odd lot of whole ones stays its holder's.
    """
    smallest = int(quantity / PLACES)
    after = (smallest * new_units // old_units) * PLACES
    return SplitTerms(added=after - quantity, fraction=after - round_quantity(after, min(lot, Decimal(1))))
