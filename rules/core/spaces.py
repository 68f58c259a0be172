"""Where a program finds its facts: by symbol, by owner, by position; and who may look where.

Symbols are the market's, then those that somebody holds though the market does not have
them: of these every market fact is unknown.
"""

from collections.abc import Hashable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rules.core.bits import WORD_BITS, Bits, Flags, Places, words_for
from rules.core.codes import COLUMNS, NO_COLUMN, decoded
from rules.core.facts import MarketFacts, Vector
from rules.core.owned import OwnedFacts
from rules.core.segment import Bound

_EVERYTHING, _LISTED, _OWNED = 0, 1, 2  # rows of `eligible`: two for everybody, then those of owners
NOT_HELD, AWAITED = -1, -2  # in place of a position: there is none, and none yet
Names = NDArray[np.object_]


class Spaces:
    """The facts of one evaluation. N symbols (unlisted ones included), O owners, H positions.

    Positions stand in the order of their owners, and of an owner in the order of their symbols.
    """

    def __init__(self, market: MarketFacts, owned: OwnedFacts) -> None:
        self._market, self.owned = market, owned
        listed = market.index
        owner, names = owned.held
        unlisted: list[str] = []
        self._index = listed
        if not all(map(listed.__contains__, names)):
            unlisted = sorted({name for name in names if name not in listed})
            self._index = {**listed, **{name: len(listed) + at for at, name in enumerate(unlisted)}}
        self.listed = len(market.symbols)
        self.size = self.listed + len(unlisted)
        self.words = words_for(self.size)
        # None, found at -1, is the portfolio as a whole.
        self.names: Names = np.array([*market.symbols, *unlisted, None], dtype=object)
        places = np.fromiter(map(self._index.__getitem__, names), np.intp, count=len(names))
        self._order = np.argsort(owner * self.size + places)
        self._position_owner, self.position_places = owner[self._order], places[self._order]
        counts = np.bincount(owner, minlength=len(owned.owners))
        self.positions_until = np.concatenate(([0], np.cumsum(counts)))
        self._columns: dict[int, Vector] = {}
        self._owner_columns: dict[int, Vector] = {}
        self._make_bounds()

    def places_of(self, owners: Sequence[Hashable]) -> Places:
        """Where the owners stand, -1 for those without facts."""
        if owners == self.owned.owners:
            return np.arange(len(owners))
        find = self._owner_places.get
        return np.fromiter((find(owner, -1) for owner in owners), dtype=np.intp, count=len(owners))

    @cached_property
    def _owner_places(self) -> dict[Hashable, int]:
        return {owner: place for place, owner in enumerate(self.owned.owners)}

    # --- facts -------------------------------------------------------------------------------------

    def market_column(self, column: int) -> Vector:
        """float64[N], NaN where unknown."""
        found = self._columns.get(column)
        if found is None:
            name, bar = COLUMNS[column]
            bars = (self._market.values.get(name), *self._market.completed.get(name, (None, None)))
            found = self._columns[column] = _padded(bars[bar], self.size)
        return found

    def market(self, columns: Sequence[int], first: int, last: int) -> Vector:
        """float64[C, n] of the symbols in the words first … last."""
        part = slice(first * WORD_BITS, max(first * WORD_BITS, min(last * WORD_BITS, self.size)))
        facts = np.empty((len(columns), part.stop - part.start))
        for place, column in enumerate(columns):
            facts[place] = self.market_column(column)[part]
        return facts

    def owner_column(self, column: int) -> Vector:
        """float64[O + 1], NaN where unknown; the last, found at -1, stands for owners without facts."""
        found = self._owner_columns.get(column)
        if found is None:
            given = self.owned.values.get(COLUMNS[column][0])
            found = self._owner_columns[column] = _padded(given, len(self.owned.owners) + 1)
        return found

    def owner_columns(self, code: int) -> tuple[int, Vector, Vector | None]:
        """A test of portfolio facts: the operator and its sides."""
        test, left, right = decoded(code)
        return test, self.owner_column(left), None if right == NO_COLUMN else self.owner_column(right)

    def position_column(self, column: int) -> Vector:
        """float64[H], NaN where unknown."""
        given = self.owned.positions.get(COLUMNS[column][0])
        return _padded(given, len(self._order))[self._order]

    # --- who may look where ------------------------------------------------------------------------

    def _make_bounds(self) -> None:
        owned = self.owned
        self._eligible_of = np.full(len(owned.owners), _LISTED)
        self._position_within = np.ones(len(self._order), dtype=np.bool_)
        listed = self._row(np.arange(self.listed))
        rows = [np.full(self.words, ~np.uint64(0)), listed]
        made: dict[frozenset[str], tuple[int, Bits]] = {}
        for owner, universe in enumerate(owned.universes):
            if universe is None:
                continue
            if universe not in made:
                found = [self._index[name] for name in universe if name in self._index]
                everywhere = self._row(np.array(found, dtype=np.intp))
                made[universe] = len(rows), everywhere
                rows.append(everywhere & listed)
            self._eligible_of[owner], everywhere = made[universe]
            mine = slice(self.positions_until[owner], self.positions_until[owner + 1])
            self._position_within[mine] = is_set(everywhere, self.position_places[mine])
        self.eligible = np.stack(rows)

    def _row(self, places: Places) -> Bits:
        row = np.zeros(self.words, dtype=np.uint64)
        np.bitwise_or.at(row, places >> 6, np.left_shift(np.uint64(1), _bit(places)))
        return row

    def eligible_row(self, owner: Places, bound: NDArray[np.int8]) -> Places:
        """The row of `eligible` within which each rule looks; bound is ANYWHERE or ELIGIBLE."""
        return np.where(bound == Bound.ANYWHERE, _EVERYTHING, self._eligible_of[owner])

    def positions_of(self, owner: Places, bound: NDArray[np.int8]) -> tuple[Places, Places]:
        """The positions at which each rule looks: (place in `owner`, position); bound is HELD…"""
        starts, stops = self.positions_until[owner], self.positions_until[owner + 1]
        counts = stops - starts
        asked = np.repeat(np.arange(len(owner)), counts)
        positions = np.arange(len(asked)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        kept = self._position_within[positions]
        kept &= (self.position_places[positions] < self.listed) | (bound[asked] == Bound.HELD)
        return asked[kept], positions[kept]

    @cached_property
    def _positions_by_pair(self) -> Places:
        return self._position_owner * self.size + self.position_places

    @cached_property
    def _awaited_by_pair(self) -> Places:
        owner, names = self.owned.awaited()
        places = np.fromiter((self._index.get(name, -1) for name in names), np.intp, count=len(names))
        known = places >= 0
        return np.sort(owner[known] * self.size + places[known])

    def positions_at(self, owner: Places, places: Places, *, awaited: bool) -> Places:
        """The position of each pair, NOT_HELD where there is none; if `awaited`, told from what is being bought."""
        wanted = owner * self.size + places
        found = _place_among(self._positions_by_pair, wanted)
        if awaited:
            found[(found < 0) & (_place_among(self._awaited_by_pair, wanted) >= 0)] = AWAITED
        return found

    @cached_property
    def _touched(self) -> tuple[Places, Bits]:
        """Words of which something is held or being bought, as owner * words + word, rising, and their bits."""
        owner, places = np.divmod(np.concatenate((self._positions_by_pair, self._awaited_by_pair)), self.size)
        touched, at = np.unique(owner * self.words + (places >> 6), return_inverse=True)
        bits = np.zeros(len(touched), dtype=np.uint64)
        np.bitwise_or.at(bits, at, np.left_shift(np.uint64(1), _bit(places)))
        return touched, bits

    def untouched(self, owner: Places, words: Places) -> Bits:
        """Of each owner and word the bits of symbols that are neither held nor being bought."""
        touched, bits = self._touched
        found = _place_among(touched, owner * self.words + words)
        return ~np.append(bits, np.uint64(0))[found]  # found at -1: none


def _place_among(rising: Places, wanted: Places) -> Places:
    """Where each stands, -1 where it does not."""
    if not len(rising):
        return np.full(len(wanted), -1)
    found = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return np.where(rising[found] == wanted, found, -1)


def is_set(rows: Bits, places: Places, row: Places | None = None) -> Flags:
    """Whether bit `places` is set, in one row or in rows[row]."""
    words = rows[places >> 6] if row is None else rows[row, places >> 6]
    flags: Flags = (words >> _bit(places)) & np.uint64(1) != 0
    return flags


def _bit(places: Places) -> Bits:
    return (places & (WORD_BITS - 1)).astype(np.uint64)


def _padded(given: Vector | None, size: int) -> Vector:
    """What is not finite, or not given, is unknown."""
    padded = np.full(size, np.nan)
    if given is not None:
        np.copyto(padded[: len(given)], given, where=np.isfinite(given))
    return padded
