"""What a provider of market data says that companies do to their shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A dividend of `amount` for each unit, or a split of `new_units` for `old_units`; from the open of `ex_day` (the
    exchange's) on the price counts without it. `other`: what else it is, which we have no books for (a spin-off, a
    merger): people must see to it. `external_id` is the same whenever the same is said."""

    external_id: str
    symbol: str
    ex_day: date
    amount: Decimal | None = None
    new_units: int | None = None
    old_units: int | None = None
    other: str = ""


class Announces(Protocol):
    def announced(self, *, symbols: Sequence[str], first: date, last: date) -> Sequence[Announced]:
        """All with an ex day from `first` to `last`, both included.

        May ask somebody over the network, within a deadline of its own, and may raise whatever goes wrong.
        """
