"""What a provider of market data may offer besides its ticks: the past."""

from collections.abc import Iterable
from datetime import date
from typing import Protocol

from market.core.adjustment import DayBar


class HasHistory(Protocol):
    def history(self, *, symbol: str, first: date, last: date) -> Iterable[DayBar]:
        """The symbol's daily bars from `first` to `last`, both included, in any order; days may be missing.

        May ask somebody over the network, within a deadline of its own, and may raise whatever goes wrong.
        """
