"""Where a program finds its facts: by symbol, by owner, by position; and who may look where.

Symbols are the market's, then those that somebody holds though the market does not have
them: of these every market fact is unknown.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rules.core.bits import WORD_BITS, Bits, Places, words_for
from rules.core.facts import MarketFacts, Vector
from rules.core.normal_form import COLUMNS, NO_COLUMN, decoded
from rules.core.owned import OwnedFacts
from rules.core.segment import Bound

_EVERYTHING, _LISTED, _OWNED = 0, 1, 2  # bound rows: two that are always there, then the owners'


class Spaces:
    """The facts of one evaluation. N symbols (unlisted ones included), O owners, H positions."""

    def __init__(self, market: MarketFacts, owned: OwnedFacts) -> None:
        self._market, self.owned = market, owned
        listed = market.index
        self.unlisted = sorted({name for name in owned.held[1] if name not in listed})
        self.listed = len(market.symbols)
        self.size = self.listed + len(self.unlisted)
        self.words = words_for(self.size)
        self.names: list[str | None] = [*market.symbols, *self.unlisted, None]
        self._index = {**listed, **{name: self.listed + place for place, name in enumerate(self.unlisted)}}
        self._owner_places = {owner: place for place, owner in enumerate(owned.owners)}
        self._columns: dict[int, Vector] = {}
        self._owner_columns: dict[int, Vector] = {}
        self._ranked: tuple[Places, Places] | None = None
        self._make_bounds()

    def places_of(self, owners: Sequence[Hashable]) -> Places:
        """Where the owners stand, -1 for those without facts."""
        find = self._owner_places.get
        return np.fromiter((find(owner, -1) for owner in owners), dtype=np.intp, count=len(owners))

    # --- facts -------------------------------------------------------------------------------------

    def market_column(self, column: int) -> Vector:
        """float64[N], NaN where unknown."""
        found = self._columns.get(column)
        if found is None:
            name, bar = COLUMNS[column]
            if bar:
                given = self._market.completed.get(name, (None, None))[bar - 1]
            else:
                given = self._market.values.get(name)
            found = np.full(self.size, np.nan)
            if given is not None:
                np.copyto(found[: self.listed], given, where=np.isfinite(given))
            self._columns[column] = found
        return found

    def market(self, columns: Sequence[int], first: int, last: int) -> Vector:
        """float64[C, n] of the symbols in the words first … last."""
        part = slice(first * WORD_BITS, min(last * WORD_BITS, self.size))
        facts = np.empty((len(columns), part.stop - part.start if part.stop > part.start else 0))
        for place, column in enumerate(columns):
            facts[place] = self.market_column(column)[part]
        return facts

    def owner_column(self, column: int) -> Vector:
        """float64[O + 1], NaN where unknown; the last stands for owners without facts."""
        found = self._owner_columns.get(column)
        if found is None:
            found = self._owner_columns[column] = _known(
                self.owned.values, COLUMNS[column][0], len(self.owned.owners)
            )
        return found

    def owner_columns(self, code: int) -> tuple[int, Vector, Vector | None]:
        """A test of portfolio facts: the operator and its sides."""
        test, left, right = decoded(code)
        return test, self.owner_column(left), None if right == NO_COLUMN else self.owner_column(right)

    def position_column(self, column: int) -> Vector:
        """float64[H], NaN where unknown."""
        return _known(self.owned.positions, COLUMNS[column][0], len(self.owned.held[0]))[:-1]

    # --- bounds ------------------------------------------------------------------------------------

    def _make_bounds(self) -> None:
        """`bound_rows`: everything, the listed symbols, then for each owner one row of each Bound but ANYWHERE."""
        owned, count = self.owned, len(self.owned.owners)
        owner, names = owned.held
        self._held_places = np.fromiter(map(self._index.__getitem__, names), np.intp, count=len(names))
        rows = np.zeros((_OWNED + 3 * count, self.words), dtype=np.uint64)
        rows[_EVERYTHING] = ~np.uint64(0)
        rows[_LISTED] = self._row(np.arange(self.listed))
        eligible, held, both = rows[_OWNED:].reshape(3, count, self.words)
        # An owner has one position of a symbol, so adding bits is setting them.
        bits = np.left_shift(np.uint64(1), (self._held_places & (WORD_BITS - 1)).astype(np.uint64))
        np.add.at(held.reshape(-1), owner * self.words + (self._held_places >> 6), bits)
        self._held_rows = held.copy()
        self._restricted = np.zeros(count + 1, dtype=np.bool_)
        made: dict[frozenset[str], Bits] = {}
        for place, universe in enumerate(owned.universes):
            if universe is not None:
                if universe not in made:
                    found = [self._index[name] for name in universe if name in self._index]
                    made[universe] = self._row(np.array(found, dtype=np.intp))
                eligible[place] = made[universe] & rows[_LISTED]
                held[place] &= made[universe]
                self._restricted[place] = True
        np.bitwise_and(held, rows[_LISTED], out=both)
        self.bound_rows = rows

    def _row(self, places: Places) -> Bits:
        row = np.zeros(self.words, dtype=np.uint64)
        np.bitwise_or.at(
            row, places >> 6, np.left_shift(np.uint64(1), (places & (WORD_BITS - 1)).astype(np.uint64))
        )
        return row

    def bounds(self, owner: Places, bound: NDArray[np.int8]) -> Places:
        """The bound row of each rule; of one whose owner is not there (-1), any."""
        count = len(self.owned.owners)
        own = _OWNED + (bound.astype(np.intp) - Bound.ELIGIBLE) * count + owner
        own[(bound == Bound.ELIGIBLE) & ~self._restricted[owner]] = _LISTED
        own[(bound == Bound.ANYWHERE) | (owner < 0)] = _EVERYTHING
        return own

    def positions_at(self, owner: Places, places: Places) -> Places:
        """The position of each pair, -1 where nothing is held."""
        word = places >> 6
        bit = np.left_shift(np.uint64(1), (places & (WORD_BITS - 1)).astype(np.uint64))
        held = self._held_rows[owner, word]
        if self._ranked is None:
            order = np.lexsort((self._held_places, self.owned.held[0]))
            starts = np.searchsorted(self.owned.held[0], np.arange(len(self.owned.owners)))
            counts = np.bitwise_count(self._held_rows).astype(np.intp)
            self._ranked = np.append(order, -1), starts[:, None] + np.cumsum(counts, axis=1) - counts
        order, before = self._ranked
        rank = before[owner, word] + np.bitwise_count(held & (bit - np.uint64(1)))
        return np.where(held & bit, order[rank], -1)


def _known(columns: Mapping[str, Vector], name: str, count: int) -> Vector:
    padded = np.full(count + 1, np.nan)
    given = columns.get(name)
    if given is not None:
        np.copyto(padded[:-1], given, where=np.isfinite(given))
    return padded
