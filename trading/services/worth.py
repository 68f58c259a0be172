"""What many portfolios are worth at one view of the market, valued in columns, and their facts for programs of rules.

It is for finding out whom to look at: which rules may trigger, whose losses may be too large, whose marks rise. Whoever
acts reads again under lock (`trading.services.fresh_state`).
"""

import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from market.core.indicators import Places
from portfolios.core.columns import Flags, OwnedColumns, Valued, value_many
from portfolios.core.facts import percent
from rules.core.facts import SymbolFacts
from rules.core.owned import OwnedFacts
from trading.core.diversification import Diversification
from trading.services.facts import MarketView
from trading.services.kept_columns import take_columns
from trading.services.owned import read_columns


@dataclass(frozen=True)
class Worth:
    """Some portfolios, in the order in which they were asked for, at the prices of one view."""

    columns: OwnedColumns
    valued: Valued
    view: MarketView
    places: Places
    """[H] of each holding in the snapshot; -1: not in it"""

    def owned_facts(
        self, owners: Sequence[Hashable], universes: Sequence[frozenset[str] | None]
    ) -> OwnedFacts:
        """In the words of the rule catalogue; the portfolios' names there are `owners`."""
        held = self.valued.held
        return OwnedFacts(
            owners=tuple(owners),
            values=self.valued.portfolio,
            held=self._pairs(held),
            awaited=lambda: self._pairs(~held),
            positions=self.valued.positions,
            universes=universes,
            symbols=_Neighbours(self),
        )

    def _pairs(self, chosen: Flags) -> tuple[Places, list[str]]:
        """The portfolio's place and the symbol of these holdings."""
        columns, places = self.columns, self.places[chosen]
        symbols = self.view.symbol_column[places]  # found at -1: some other name
        for place in np.flatnonzero(places < 0).tolist():
            symbols[place] = self.view.instruments[int(columns.instrument_id[chosen][place])].symbol
        return columns.owner[chosen], symbols.tolist()

    def diversification(self, place: int) -> Diversification:
        """Of one portfolio, as `portfolios.core.facts.value` tells its sectors and what it holds."""
        mine, equity = self.valued.holdings_of(place), float(self.valued.equity[place])
        sectors: dict[str, float] = {}
        names = []
        for key, exposed in zip(
            self.columns.instrument_id[mine].tolist(), self.valued.exposed[mine].tolist(), strict=True
        ):
            instrument = self.view.instruments[key]
            names.append(instrument.symbol)
            sectors[instrument.sector] = sectors.get(instrument.sector, 0.0) + exposed
        percentages = {sector: percent(worth, equity) for sector, worth in sectors.items()}
        return Diversification(self.view.neighbourhood, sectors=percentages, held=tuple(names))


class _Neighbours(Sequence[SymbolFacts]):
    """The diversification facts of each portfolio, made when a rule asks for them."""

    def __init__(self, worth: Worth) -> None:
        self._worth = worth
        self._made: dict[int, Diversification] = {}

    @overload
    def __getitem__(self, place: int) -> SymbolFacts: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[SymbolFacts]: ...
    def __getitem__(self, place: int | slice) -> SymbolFacts | Sequence[SymbolFacts]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place not in self._made:
            self._made[place] = self._worth.diversification(place)
        return self._made[place]

    def __len__(self) -> int:
        return len(self._worth.columns.portfolio_ids)


def read_worth(
    portfolio_ids: Sequence[uuid.UUID], view: MarketView, *, name: Hashable | None = None
) -> Worth:
    """No lock. A price that is not fresh, or not in the snapshot, is unknown. Columns under a name are taken, as
    `take_columns` says."""
    columns = read_columns(portfolio_ids) if name is None else take_columns(portfolio_ids, name=name)
    places = view.places_of(columns.instrument_id)
    prices = np.append(view.price_column, np.nan)[places]  # found at -1: none
    return Worth(columns, value_many(columns, prices=prices, as_of=view.snapshot.as_of), view, places)
