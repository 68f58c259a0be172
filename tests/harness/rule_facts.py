"""Facts for given rules: unknown, infinite, huge, denormal, signed zero, and just at a threshold.

They are drawn as bytes that pick from a palette, one draw a column, so that thousands of examples are
affordable and a failing one shrinks well: a byte of 0 picks what is present, known and at the threshold.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from rules.core.facts import MarketFacts, PortfolioFacts, SymbolFacts, Vector
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldKind, FieldType
from rules.core.language import BAR_OPERATORS, Choices, Comparison, Constant, FieldReference, Interval
from tests.harness.rules import numbers_of

UNLISTED = "GONE"  # held, but not in the market snapshot
OF_THE_MARKET = {FieldKind.MARKET, FieldKind.RECOMMENDATION, FieldKind.TIME}
STRANGE = (math.nan, math.inf, -math.inf, 0.0, -0.0)
EXTREME = (1e308, -1e308, 5e-324, -5e-324)
# Longer columns repeat what was drawn: prime, so that no 64 symbols look like the next 64.
PERIOD = 67
TABLES_MAX = 13

Palettes = Mapping[str, list[float]]
Cell = tuple[Any, Any]


class OnDemand(SymbolFacts):
    """Diversification facts as production hands them in: not a table, but asked for many symbols at once."""

    def __init__(self, table: Mapping[str, dict[str, float]]) -> None:
        self._table = table

    def __getitem__(self, symbol: str) -> dict[str, float]:
        return self._table[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def vector(self, field: str, symbols: Sequence[str]) -> Vector:
        facts = [self._table.get(symbol, {}).get(field, math.nan) for symbol in symbols]
        return np.array(facts, dtype=np.float64)


class Pair(NamedTuple):
    """Two fields that are compared, now or at the completed bars."""

    left: str
    right: str
    bars: bool


def palettes(comparisons: Iterable[Comparison], *, calm: bool) -> dict[str, list[float]]:
    """What each field that is spoken of may be: near its thresholds, legal, or strange.

    `calm`: without numbers so large or small that arithmetic on them goes wrong.
    """
    near: dict[str, set[float]] = defaultdict(set)
    for comparison in comparisons:
        value = comparison.value
        if isinstance(value, FieldReference):
            near[comparison.field] |= set()
            near[value.field] |= set()
        else:
            near[comparison.field].update(_numbers_in(value))
    return {
        name: [number for number in _palette(name, numbers) if not calm or _is_calm(number)]
        for name, numbers in near.items()
    }


def _numbers_in(value: Constant | Interval | Choices) -> tuple[float, ...]:
    if isinstance(value, Constant):
        return (value.number,)
    return (value.low, value.high) if isinstance(value, Interval) else value.numbers


def _palette(name: str, thresholds: set[float]) -> list[float]:
    spec = CATALOGUE[name]
    usual: Iterable[float]
    if spec.type in NUMERIC_TYPES:
        usual = map(float, numbers_of(spec))
    else:
        usual = (0.0, 570.0, 720.5, 1439.0) if spec.type is FieldType.TIME_OF_DAY else range(-1, 8)
    at = sorted(thresholds)
    beside = [math.nextafter(number, way) for number in at for way in (math.inf, -math.inf)]
    return [*at, *beside, *map(float, usual), *at, *beside, *STRANGE, *EXTREME]


def _is_calm(number: float) -> bool:
    return number == 0 or not math.isfinite(number) or 1e-100 < abs(number) < 1e100


def market_facts(draw: st.DrawFn, fields: Palettes, symbols: tuple[str, ...]) -> MarketFacts:
    """Some columns are missing, and some fields have no completed bars yet."""
    present = [name for name in fields if CATALOGUE[name].kind in OF_THE_MARKET and _present(draw)]
    size = len(symbols)
    return MarketFacts(
        symbols=symbols,
        values={name: _column(draw, fields[name], size) for name in present},
        completed={
            name: (_column(draw, fields[name], size), _column(draw, fields[name], size))
            for name in present
            if CATALOGUE[name].completed_bars and _present(draw)
        },
    )


def portfolio_facts(draw: st.DrawFn, fields: Palettes, symbols: tuple[str, ...]) -> PortfolioFacts:
    """Holds and may touch some of the symbols, and one that the market does not have; some others it buys."""
    names = (UNLISTED, *symbols)
    exposures = {
        name: _table(draw, fields, FieldKind.DIVERSIFICATION) for name in _some(draw, names)[:TABLES_MAX]
    }
    held = _some(draw, names)[:TABLES_MAX]
    return PortfolioFacts(
        values=_table(draw, fields, FieldKind.PORTFOLIO),
        positions={name: _table(draw, fields, FieldKind.POSITION) for name in held},
        universe=frozenset(_some(draw, names)) if draw(st.booleans()) else None,
        symbols=OnDemand(exposures) if draw(st.booleans()) else exposures,
        awaited=frozenset(names) - {*held, *_some(draw, names)},
    )


def _bytes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _column(draw: st.DrawFn, palette: list[float], size: int) -> Vector:
    picks = draw(_bytes(min(size, PERIOD)))
    return np.resize(np.array([palette[pick % len(palette)] for pick in picks], dtype=np.float64), size)


def _some(draw: st.DrawFn, names: tuple[str, ...]) -> list[str]:
    """Three names in four, or so."""
    picks = np.resize(np.frombuffer(draw(_bytes(min(len(names), PERIOD))), dtype=np.uint8), len(names))
    return [name for name, pick in zip(names, picks.tolist(), strict=True) if pick % 4 < 3]


def _present(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 9)) < 9


def _table(draw: st.DrawFn, fields: Palettes, kind: FieldKind) -> dict[str, float]:
    mine = [name for name in fields if CATALOGUE[name].kind is kind]
    picks = draw(_bytes(len(mine))) if mine else b""
    # One value more than the palette has: the field is not there at all.
    places = {name: pick % (len(fields[name]) + 1) for name, pick in zip(mine, picks, strict=True)}
    return {name: fields[name][place] for name, place in places.items() if place < len(fields[name])}


def pairs_in(comparisons: Iterable[Comparison]) -> dict[Pair, list[float]]:
    """The fields that are compared with each other, each pair with all its factors."""
    pairs: dict[Pair, list[float]] = defaultdict(list)
    for comparison in comparisons:
        value = comparison.value
        if isinstance(value, FieldReference):
            bars = comparison.operator in BAR_OPERATORS
            pairs[Pair(comparison.field, value.field, bars)].append(value.times)
    return pairs


def tie(
    draw: st.DrawFn,
    pair: Pair,
    factors: list[float],
    market: MarketFacts,
    portfolios: list[PortfolioFacts],
    *,
    calm: bool,
) -> None:
    """Here and there let the left fact be the right one times a factor, or a float beside that."""
    moves, rungs = draw(_bytes(TABLES_MAX)), draw(_bytes(TABLES_MAX))
    for turn, (left, right) in enumerate(_cells(pair, market, portfolios)):
        move, rung = moves[turn % TABLES_MAX], rungs[turn % TABLES_MAX]
        if left is not None and right is not None and move % 4:
            number = float(right[0][right[1]]) * factors[rung % len(factors)]
            if move % 4 > 1 and (number or not calm):  # the neighbours of zero are not calm
                number = math.nextafter(number, math.inf if move % 4 == 2 else -math.inf)
            left[0][left[1]] = number


def _cells(
    pair: Pair, market: MarketFacts, portfolios: list[PortfolioFacts]
) -> Iterator[tuple[Cell | None, Cell | None]]:
    """Where the two facts stand for every symbol, or for every owner and symbol where one is an owner's."""
    if pair.bars:
        for left, right in zip(
            *(market.completed.get(name, ()) for name in (pair.left, pair.right)), strict=False
        ):
            yield from (((left, place), (right, place)) for place in range(len(left)))
        return
    of_the_market = {CATALOGUE[name].kind for name in (pair.left, pair.right)} <= OF_THE_MARKET
    for portfolio in portfolios[:1] if of_the_market else portfolios:
        for symbol in (UNLISTED, *market.symbols):
            yield _cell(pair.left, symbol, market, portfolio), _cell(pair.right, symbol, market, portfolio)


def _cell(name: str, symbol: str, market: MarketFacts, portfolio: PortfolioFacts) -> Cell | None:
    """Where one fact stands, as a container and its key; None where it is missing."""
    kind = CATALOGUE[name].kind
    if kind in OF_THE_MARKET:
        column, place = market.values.get(name), market.index.get(symbol)
        return None if column is None or place is None else (column, place)
    table = {
        FieldKind.PORTFOLIO: portfolio.values,
        FieldKind.POSITION: portfolio.positions.get(symbol, {}),
        FieldKind.DIVERSIFICATION: portfolio.symbols.get(symbol, {}),
    }[kind]
    return (table, name) if name in table else None
