"""How a symbol sits beside what a portfolio holds: its sector's weight, its correlation with the rest. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from market.core.indicators import Places, correlations
from rules.core.facts import SymbolFacts, Vector

KEPT_MAX = 1_000  # holdings whose correlations are remembered
FIELDS = ("sector_exposure_percentage", "max_correlation", "average_correlation")


class Neighbourhood:
    """What is the same for every portfolio at one snapshot: who is in which sector, and whose returns go together.

    `sector_of` names every instrument; `market` are the symbols of the snapshot, which are those that have
    returns; `returns` gives their standardised daily returns, float64[W, S], and is called only when a rule
    asks for a correlation.
    """

    def __init__(
        self, *, sector_of: Mapping[str, str], market: Sequence[str], returns: Callable[[], Vector]
    ) -> None:
        self.market = market
        symbols = dict.fromkeys((*market, *sector_of))
        self.place = {symbol: place for place, symbol in enumerate(symbols)}
        sectors = [sector_of.get(symbol, "") for symbol in symbols]
        self._sectors = sorted(set(sectors))
        sector_place = {sector: place for place, sector in enumerate(self._sectors)}
        self._sector_places = np.array([sector_place[sector] for sector in sectors], dtype=np.intp)
        self._load_returns = returns
        self._correlations: dict[tuple[str, ...], tuple[Vector, Vector]] = {}

    @cached_property
    def _returns(self) -> Vector:
        return self._load_returns()

    def exposures(self, percentages: Mapping[str, float]) -> Vector:
        """float64[N + 1]: of each symbol's sector, 0 where nothing of it is held."""
        by_sector = np.array([percentages.get(sector, 0.0) for sector in self._sectors], dtype=np.float64)
        return np.append(by_sector[self._sector_places], np.nan)

    def correlations(self, held: tuple[str, ...]) -> tuple[Vector, Vector]:
        """float64[N + 1] twice: each symbol's highest and its mean correlation with the *other* symbols held.

        0 where nothing else is held; unknown where any of the correlations is. Made once for the same holdings.
        """
        if held not in self._correlations:
            if len(self._correlations) >= KEPT_MAX:
                self._correlations.clear()
            self._correlations[held] = self._correlate(
                np.array([self.place[symbol] for symbol in held], np.intp)
            )
        return self._correlations[held]

    def _correlate(self, held: Places) -> tuple[Vector, Vector]:
        count, inside = len(self.place), held < len(self.market)
        highest, mean = np.zeros(count + 1), np.zeros(count + 1)
        highest[-1] = mean[-1] = np.nan
        if len(held):
            matrix = np.full((count, len(held)), np.nan)
            matrix[: len(self.market), inside] = correlations(self._returns, slice(None), held[inside])
            itself = np.arange(count)[:, None] == held
            others = len(held) - itself.sum(axis=1)
            most = np.where(itself, -np.inf, matrix).max(axis=1)
            total = np.where(itself, 0.0, matrix).sum(axis=1)
            highest[:-1] = np.where(others > 0, most, 0.0)
            mean[:-1] = np.where(others > 0, total / np.maximum(others, 1), 0.0)
        return highest, mean


class Diversification(SymbolFacts):
    """The diversification facts of one portfolio: `sectors` in percent of equity, `held` or being bought."""

    def __init__(
        self, neighbourhood: Neighbourhood, *, sectors: Mapping[str, float], held: tuple[str, ...]
    ) -> None:
        self._neighbourhood = neighbourhood
        self._sectors = sectors
        self._held = held

    @cached_property
    def _exposures(self) -> Vector:
        return self._neighbourhood.exposures(self._sectors)

    def column(self, field: str) -> Vector:
        """float64[N + 1] over the places of the neighbourhood; the last stands for a symbol not known there."""
        if field == "sector_exposure_percentage":
            return self._exposures
        return self._neighbourhood.correlations(self._held)[0 if field == "max_correlation" else 1]

    def vector(self, field: str, symbols: Sequence[str]) -> Vector:
        if symbols is self._neighbourhood.market:  # what is asked for most: no looking up
            return self.column(field)[: len(symbols)]
        place = self._neighbourhood.place
        return self.column(field)[
            np.fromiter((place.get(symbol, -1) for symbol in symbols), np.intp, len(symbols))
        ]

    def __getitem__(self, symbol: str) -> Mapping[str, float]:
        return _OfSymbol(self, self._neighbourhood.place[symbol])

    def __iter__(self) -> Iterator[str]:
        return iter(self._neighbourhood.place)

    def __len__(self) -> int:
        return len(self._neighbourhood.place)


class _OfSymbol(Mapping[str, float]):
    """The facts of one symbol, made one by one when asked for."""

    def __init__(self, facts: Diversification, place: int) -> None:
        self._facts = facts
        self._place = place

    def __getitem__(self, field: str) -> float:
        if field not in FIELDS:
            raise KeyError(field)
        return float(self._facts.column(field)[self._place])

    def __iter__(self) -> Iterator[str]:
        return iter(FIELDS)

    def __len__(self) -> int:
        return len(FIELDS)
