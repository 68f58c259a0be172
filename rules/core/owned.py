"""The facts of many owners as columns, which is how a program reads them."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Self

import numpy as np

from rules.core.bits import Places
from rules.core.facts import PortfolioFacts, SymbolFacts, Vector

Pairs = tuple[Places, Sequence[str]]  # places of owners, and symbols


@dataclass(frozen=True)
class OwnedFacts:
    """O owners and the H positions that they hold, in the order of the owners.

    `values`: portfolio fields, float64[O]. `held`: the owner's place (intp[H], never
    falling) and the symbol of each position; `positions`: position fields, float64[H].
    `awaited` gives the same as `held` for what is being bought and not held, when a rule
    asks. `universes` and `symbols` as in PortfolioFacts, one for each owner. A field
    that is not a key is unknown.
    """

    owners: Sequence[Hashable]
    values: Mapping[str, Vector]
    held: Pairs
    awaited: Callable[[], Pairs]
    positions: Mapping[str, Vector]
    universes: Sequence[frozenset[str] | None]
    symbols: Sequence[Mapping[str, Mapping[str, float]]]

    @classmethod
    def of(cls, owners: Mapping[Hashable, PortfolioFacts], *, positions: bool = True) -> Self:
        """Owners that were described one by one; a column is made when a rule first reads it.

        Without `positions` they are taken to hold nothing: nobody asks.
        """
        portfolios = list(owners.values())
        holders = portfolios if positions else []
        rows = list(chain.from_iterable(portfolio.positions.values() for portfolio in holders))
        return cls(
            owners=tuple(owners),
            values=_Columns(lambda name: _column([portfolio.values for portfolio in portfolios], name)),
            held=_pairs([portfolio.positions for portfolio in holders]),
            awaited=lambda: _pairs([portfolio.awaited for portfolio in holders]),
            positions=_Columns(lambda name: _column(rows, name)),
            universes=[portfolio.universe for portfolio in portfolios],
            symbols=[portfolio.symbols for portfolio in portfolios],
        )

    def of_symbols(self, field: str, owners: Places, symbols: Sequence[str]) -> Vector:
        """A diversification field of pairs: owners intp[n], never falling, and n symbols."""
        column = np.full(len(symbols), np.nan)
        edges = np.flatnonzero(np.diff(owners)) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(symbols)], strict=True):
            if start == stop:
                continue
            facts, asked = self.symbols[owners[start]], symbols[start:stop]
            if isinstance(facts, SymbolFacts):
                column[start:stop] = facts.vector(field, asked)
            else:
                column[start:stop] = [facts.get(symbol, {}).get(field, np.nan) for symbol in asked]
        return column


class _Columns(Mapping[str, Vector]):
    """Columns that are made when they are first asked for; every name gives one."""

    def __init__(self, make: Callable[[str], Vector]) -> None:
        self._make = make
        self._made: dict[str, Vector] = {}

    def __getitem__(self, name: str) -> Vector:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _pairs(symbols: Sequence[Collection[str]]) -> Pairs:
    """The symbols of each owner, one after the other."""
    counts = np.array([len(some) for some in symbols], dtype=np.intp)
    return np.repeat(np.arange(len(symbols)), counts), list(chain.from_iterable(symbols))


def _column(rows: Sequence[Mapping[str, float]], name: str) -> Vector:
    try:
        return np.fromiter(map(itemgetter(name), rows), dtype=np.float64, count=len(rows))
    except KeyError:  # a little slower where somebody lacks the fact
        return np.fromiter((row.get(name, np.nan) for row in rows), dtype=np.float64, count=len(rows))
