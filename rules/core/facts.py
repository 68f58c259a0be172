"""The facts that rules are evaluated on, handed in from outside.

All numbers are float64 as the catalogue describes them; what is missing or not
finite is unknown. Nothing here is ever filled in: a rule never fires on a fact
that it did not have. That nothing of a symbol is held is a fact as well.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class MarketFacts:
    """What is known about every symbol, for everybody: market, recommendation and time fields.

    `values` gives each field as float64[S] in the order of `symbols`; `completed`
    the same at the previous and the last completed bar, in this order.
    """

    symbols: tuple[str, ...]
    values: Mapping[str, Vector]
    completed: Mapping[str, tuple[Vector, Vector]]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Symbol to its place in the vectors."""
        return {symbol: place for place, symbol in enumerate(self.symbols)}


class SymbolFacts(Mapping[str, Mapping[str, float]]):
    """Diversification facts of any symbol, which are made when somebody asks: for one, or for many at once."""

    @abstractmethod
    def vector(self, field: str, symbols: Sequence[str]) -> Vector:
        """float64[len(symbols)] of one field, NaN where unknown; equal to looking each symbol up."""


@dataclass(frozen=True)
class PortfolioFacts:
    """What is known about one owner.

    `values`: portfolio fields. `positions`: the held symbols, each with its position
    fields; a symbol that is not a key is not held, and its position fields are what
    the catalogue says of that (`where_not_held`), most often unknown. `awaited`:
    symbols that are being bought and not held, of which they are all unknown: how
    much there will be, nobody knows. `symbols`: diversification fields of any symbol,
    held or not (a SymbolFacts where they are many). `universe`: the symbols that the
    owner's rules may touch, None for all.
    """

    values: Mapping[str, float]
    positions: Mapping[str, Mapping[str, float]]
    universe: frozenset[str] | None
    symbols: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    awaited: Set[str] = frozenset()
