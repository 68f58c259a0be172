"""Three-valued logic on vectors, over three spaces.

A mask is a pair of boolean vectors (true, known): unknown is (False, False).
Nodes live in the smallest space that can tell them: the *market* (one place a
symbol, the same for everybody), the *owners* (one place an owner), or *rows*
(one place a pair of owner and symbol). Each node is evaluated once in its space
and lifted into rows by indexing.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rules.core.facts import MarketFacts, PortfolioFacts, Vector
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import (
    BAR_OPERATORS,
    Choices,
    Comparison,
    Constant,
    FieldReference,
    Interval,
    Operator,
)

BooleanVector = NDArray[np.bool_]
Indices = NDArray[np.intp]
Mask = tuple[BooleanVector, BooleanVector]


class Level(IntEnum):
    """The smallest space in which a field or a node can be evaluated."""

    OWNER = 0
    MARKET = 1
    ROW = 2


_LEVEL_OF_KIND = {
    FieldKind.PORTFOLIO: Level.OWNER,
    FieldKind.MARKET: Level.MARKET,
    FieldKind.RECOMMENDATION: Level.MARKET,
    FieldKind.TIME: Level.MARKET,
    FieldKind.POSITION: Level.ROW,
    FieldKind.DIVERSIFICATION: Level.ROW,
}


def level_of_field(name: str) -> Level:
    return _LEVEL_OF_KIND[CATALOGUE[name].kind]


def common_level(levels: Sequence[Level]) -> Level:
    """One level when all agree; facts of two spaces meet in rows."""
    return levels[0] if len(set(levels)) == 1 else Level.ROW


class Space(Protocol):
    """Where comparisons find their facts; every vector has `size` places."""

    size: int

    def column(self, field: str) -> Vector: ...

    def bars(self, field: str) -> tuple[Vector, Vector]: ...


class MarketSpace:
    """Facts by symbol. The last place stands for a symbol without market data: all unknown."""

    def __init__(self, market: MarketFacts) -> None:
        self._market = market
        self._columns: dict[str, Vector] = {}
        self._bars: dict[str, tuple[Vector, Vector]] = {}
        self.size = len(market.symbols) + 1

    def column(self, field: str) -> Vector:
        if field not in self._columns:
            self._columns[field] = self._padded(self._market.values.get(field))
        return self._columns[field]

    def bars(self, field: str) -> tuple[Vector, Vector]:
        if field not in self._bars:
            previous, last = self._market.completed.get(field, (None, None))
            self._bars[field] = (self._padded(previous), self._padded(last))
        return self._bars[field]

    def _padded(self, vector: Vector | None) -> Vector:
        padded = np.full(self.size, np.nan)
        if vector is not None:
            padded[:-1] = vector
        return padded


class _WithoutBars:
    """Only market fields are kept for completed bars, so a crossing is always told in the market's space."""

    def bars(self, field: str) -> tuple[Vector, Vector]:
        raise AssertionError(f"{field} has no bars here; validation refuses the operator")


class OwnerSpace(_WithoutBars):
    """Facts by owner."""

    def __init__(self, portfolios: Sequence[PortfolioFacts]) -> None:
        self._portfolios = portfolios
        self._columns: dict[str, Vector] = {}
        self.size = len(portfolios)

    def column(self, field: str) -> Vector:
        if field not in self._columns:
            facts = (portfolio.values.get(field, np.nan) for portfolio in self._portfolios)
            self._columns[field] = np.fromiter(facts, dtype=np.float64, count=self.size)
        return self._columns[field]


class RowSpace(_WithoutBars):
    """Facts by pairs of owner and symbol, given as places in the two other spaces.

    `names` gives each row's symbol, for the facts that are handed in by name.
    """

    def __init__(
        self,
        market: MarketSpace,
        owners: OwnerSpace,
        portfolios: Sequence[PortfolioFacts],
        *,
        owner_places: Indices,
        symbol_places: Indices,
        names: Sequence[str],
    ) -> None:
        self._market = market
        self._owners = owners
        self._portfolios = portfolios
        self.names = names
        self._columns: dict[str, Vector] = {}
        self.owner_places = owner_places
        self.symbol_places = symbol_places
        self.size = len(names)

    def column(self, field: str) -> Vector:
        level = level_of_field(field)
        if level is Level.MARKET:
            return self._market.column(field)[self.symbol_places]
        if level is Level.OWNER:
            return self._owners.column(field)[self.owner_places]
        if field not in self._columns:
            self._columns[field] = self._gather(field)
        return self._columns[field]

    def _gather(self, field: str) -> Vector:
        held_only = CATALOGUE[field].kind is FieldKind.POSITION
        by_owner = [portfolio.positions if held_only else portfolio.symbols for portfolio in self._portfolios]
        nothing: Mapping[str, float] = {}
        facts = (
            by_owner[owner].get(name, nothing).get(field, np.nan)
            for owner, name in zip(self.owner_places.tolist(), self.names, strict=True)
        )
        return np.fromiter(facts, dtype=np.float64, count=self.size)


def compare(comparison: Comparison, space: Space) -> Mask:
    """One comparison over all places of a space."""
    if comparison.operator in BAR_OPERATORS:
        return _compare_bars(comparison, space)
    left = space.column(comparison.field)
    known = np.isfinite(left)
    value = comparison.value
    if isinstance(value, Interval):
        return known & (left >= value.low) & (left <= value.high), known
    if isinstance(value, Choices):
        found = np.isin(left, value.numbers)
        return known & (found if comparison.operator is Operator.IN else ~found), known
    if isinstance(value, FieldReference):
        right: Vector | float = _scaled(space.column(value.field), value.times)
        known = known & np.isfinite(right)
    else:
        right = value.number
    return known & _ordered(comparison.operator, left, right), known


def _compare_bars(comparison: Comparison, space: Space) -> Mask:
    """Crossings and changes: unknown unless both bars of every field are there."""
    previous, last = space.bars(comparison.field)
    known = np.isfinite(previous) & np.isfinite(last)
    value = comparison.value
    assert isinstance(value, Constant | FieldReference), "bars are compared with one number or field"
    if isinstance(value, FieldReference):
        before, after = (_scaled(vector, value.times) for vector in space.bars(value.field))
        known &= np.isfinite(before) & np.isfinite(after)
    else:
        before = after = np.full(space.size, value.number)
    if comparison.operator is Operator.CROSSES_ABOVE:
        happened = (previous <= before) & (last > after)
    elif comparison.operator is Operator.CROSSES_BELOW:
        happened = (previous >= before) & (last < after)
    else:
        happened = (previous != before) & (last == after)
    return known & happened, known


def _scaled(vector: Vector, times: float) -> Vector:
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float64 is infinite, so unknown
        return vector * times


def _ordered(operator: Operator, left: Vector, right: Vector | float) -> BooleanVector:
    result: BooleanVector
    match operator:
        case Operator.EQUALS:
            result = left == right
        case Operator.NOT_EQUALS:
            result = left != right
        case Operator.GREATER_THAN:
            result = left > right
        case Operator.GREATER_OR_EQUAL:
            result = left >= right
        case Operator.LESS_THAN:
            result = left < right
        case Operator.LESS_OR_EQUAL:
            result = left <= right
        case _:
            raise AssertionError(f"{operator} does not compare with one value")
    return result


def all_of(masks: Sequence[Mask]) -> Mask:
    """Kleene *and*: one false decides, else one unknown leaves it open."""
    true = np.logical_and.reduce([mask[0] for mask in masks])
    false = np.logical_or.reduce([known & ~holds for holds, known in masks])
    return true, true | false


def any_of(masks: Sequence[Mask]) -> Mask:
    """Kleene *or*: one true decides, else one unknown leaves it open."""
    true = np.logical_or.reduce([mask[0] for mask in masks])
    false = np.logical_and.reduce([known & ~holds for holds, known in masks])
    return true, true | false


def negated(mask: Mask) -> Mask:
    """Kleene *not*: unknown stays unknown."""
    true, known = mask
    return known & ~true, known
