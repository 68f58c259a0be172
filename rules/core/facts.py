"""The facts that rules are evaluated on, handed in from outside.

All numbers are float64 as the catalogue describes them; what is missing or not
finite is unknown. Nothing here is ever filled in: a rule never fires on a fact
that it did not have.
"""

from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True)
class PortfolioFacts:
    """What is known about one owner.

    `values`: portfolio fields. `positions`: the held symbols, each with its position
    fields; a symbol that is not a key is not held, and its position fields are
    unknown. `symbols`: diversification fields of any symbol, held or not.
    `universe`: the symbols that the owner's rules may touch, None for all.
    """

    values: Mapping[str, float]
    positions: Mapping[str, Mapping[str, float]]
    universe: frozenset[str] | None
    symbols: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class SectorExposures(Mapping[str, Mapping[str, float]]):
    """`PortfolioFacts.symbols` made of two small tables, looked up only when a rule asks.

    `sector_of` gives every symbol's sector and is shared by all owners;
    `exposures` is one owner's percent of equity by sector. A sector without
    exposure is 0; a symbol without a known sector is unknown.
    """

    def __init__(self, *, sector_of: Mapping[str, str], exposures: Mapping[str, float]) -> None:
        self._sector_of = sector_of
        self._exposures = exposures

    def __getitem__(self, symbol: str) -> Mapping[str, float]:
        sector = self._sector_of[symbol]
        return {"sector_exposure_percentage": self._exposures.get(sector, 0.0)} if sector else {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._sector_of)

    def __len__(self) -> int:
        return len(self._sector_of)
