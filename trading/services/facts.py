"""The facts of portfolios for rules, one by one and exact: under lock, from open books, to act on them.

What may trigger is found before that, for many portfolios at once and without locks (`trading.services.worth`).
"""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, partial
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import array_text
from foundation.asking import Steps, asking
from foundation.clock import database_now
from foundation.core.money import ZERO
from foundation.loading import load_where, rows_of, selected, where
from market.core.indicators import Places
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.models import Exchange, Instrument, Recommendation
from market.services.returns import standardised_returns
from market.splits import price_factors
from portfolios.core.facts import Holding, Marks, Valuation, value
from portfolios.models import Portfolio, PortfolioMark, Position, PositionMark, Reservation
from portfolios.selectors import unsettled_splits
from rules.core.facts import MarketFacts, PortfolioFacts, Vector
from sessions.core.universe import Listed, Universe
from trading.core.diversification import Diversification, Neighbourhood
from trading.core.market_facts import STALE_SECONDS, fresh_values, market_facts, preferred
from trading.selectors.breakers import LossLimits, tightest_loss_limits

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class OwnedRows:
    """What is stored of some portfolios: everything that their facts need."""

    portfolios: Mapping[uuid.UUID, Portfolio]
    positions: Mapping[uuid.UUID, list[Position]]
    reservations: Mapping[uuid.UUID, list[Reservation]]
    marks: Mapping[uuid.UUID, PortfolioMark]
    peaks: Mapping[int, PositionMark]
    unsettled: frozenset[tuple[uuid.UUID, int]] = frozenset()
    """(portfolio, instrument) with a split in the prices that is not in the position yet: of these no price is known"""


class Advised(NamedTuple):
    """A recommendation, and what its prices are multiplied by to count in the units of the snapshot's; None: unknown,
    for a split is at hand."""

    row: Recommendation
    price_factor: Fraction | None


@dataclass(frozen=True)
class MarketView:
    """A snapshot with what is known of its instruments, and the rules' facts by preference of sources.

    `prices` are facts: NaN where the quote is stale; `price_column` are the same as float64[S], in the snapshot's
    order, which is that of `symbol_column`, too. Orders ask the snapshot itself.
    """

    snapshot: MarketSnapshot
    instruments: Mapping[int, Instrument]
    by_symbol: Mapping[str, Instrument]
    prices: Mapping[str, float]
    price_column: Vector
    symbol_column: NDArray[np.object_]
    neighbourhood: Neighbourhood
    timezones: Sequence[str]
    now_epoch: float
    _facts: dict[tuple[str, ...], tuple[MarketFacts, RecommendationFrame | None]] = field(
        default_factory=dict
    )
    _recommendations: dict[tuple[str, ...], dict[uuid.UUID, Advised]] = field(default_factory=dict)
    _universes: dict[Universe, frozenset[str]] = field(default_factory=dict)
    _markets: "dict[int, SymbolMarket]" = field(default_factory=dict)
    _loss_limits: list[LossLimits] = field(default_factory=list)

    def tightest_loss_limits(self) -> LossLimits:
        """As the selector says them, read once a view: one that is tightened meanwhile counts at the next snapshot."""
        if not self._loss_limits:
            self._loss_limits.append(tightest_loss_limits())
        return self._loss_limits[0]

    def places_of(self, instrument_ids: Ids) -> Places:
        """intp[n]: where instruments stand in the snapshot; -1 for those that it does not have."""
        known = np.array(self.snapshot.instrument_ids, dtype=np.int64)
        if not len(known):
            return np.full(len(instrument_ids), -1, dtype=np.intp)
        order = np.argsort(known)
        found = order[np.minimum(np.searchsorted(known, instrument_ids, sorter=order), len(known) - 1)]
        return np.where(known[found] == instrument_ids, found, -1)

    def universe_of(self, universe: Universe | None) -> frozenset[str] | None:
        """The symbols that a session may trade now; None: all. An exchange or tag is looked up once a view."""
        if universe is None:
            return None
        if not (universe.exchanges or universe.tags):
            return universe.symbols
        if universe not in self._universes:
            listed = {symbol: Listed(row.exchange_id, row.tags) for symbol, row in self.by_symbol.items()}
            self._universes[universe] = universe.resolved(listed)
        return self._universes[universe]

    def market_of(self, instrument: Instrument) -> "SymbolMarket":
        """Made once for all orders of a symbol."""
        found = self._markets.get(instrument.id)
        if found is None:
            symbol, fresh = instrument.symbol, math.isfinite(self.prices.get(instrument.symbol, math.nan))
            found = self._markets[instrument.id] = SymbolMarket(self.snapshot, symbol, self.facts(()), fresh)
        return found

    def facts(self, sources: tuple[str, ...]) -> MarketFacts:
        """Of every symbol, with the recommendations that this preference gives; made once for each preference."""
        return self._both(sources)[0]

    def recommendation_id(self, sources: tuple[str, ...], symbol: str) -> uuid.UUID | None:
        """Which recommendation stands behind the facts of a symbol."""
        frame, place = self._both(sources)[1], self.snapshot.index(symbol)
        text = frame.ids[place] if frame is not None and place is not None else None
        return uuid.UUID(text) if text is not None else None

    def recommended_at(self, sources: tuple[str, ...], symbol: str) -> datetime | None:
        """Since when, in market time, that recommendation holds; None where there is none."""
        frame, place = self._both(sources)[1], self.snapshot.index(symbol)
        moment = float(frame.as_of[place]) if frame is not None and place is not None else math.nan
        return datetime.fromtimestamp(moment, UTC) if math.isfinite(moment) else None

    def recommendation(self, sources: tuple[str, ...], symbol: str) -> Advised | None:
        """That recommendation itself, with its target and stop. Two queries for all symbols of a preference."""
        wanted = self.recommendation_id(sources, symbol)
        if wanted is None:
            return None
        if sources not in self._recommendations:
            frame = self._both(sources)[1]
            ids = [uuid.UUID(text) for text in frame.ids if text is not None] if frame is not None else []
            factors = price_factors(ids, now=self.snapshot.as_of)
            rows = Recommendation.objects.in_bulk(ids)
            told = {key: Advised(row, factors.get(key, Fraction(1))) for key, row in rows.items()}
            self._recommendations[sources] = told
        return self._recommendations[sources].get(wanted)

    def _both(self, sources: tuple[str, ...]) -> tuple[MarketFacts, RecommendationFrame | None]:
        if sources not in self._facts:
            frame = preferred(self.snapshot, sources)
            self._facts[sources] = (
                market_facts(self.snapshot, frame, timezones=self.timezones, now_epoch=self.now_epoch),
                frame,
            )
        return self._facts[sources]


def market_view(snapshot: MarketSnapshot, *, looked_at: datetime | None = None) -> MarketView:
    """Three queries: the exchanges, the instruments, and the database's time, if nobody says at what time (of the
    database) it is, or was, looked at."""
    exchanges = {row.pk: row for row in load_where(Exchange, "true")}
    instruments = {row.id: row for row in load_where(Instrument, "true")}
    for instrument in instruments.values():
        instrument.exchange = exchanges[instrument.exchange_id]
    now_epoch = (looked_at or database_now()).timestamp()
    price = fresh_values(snapshot, snapshot.column("price"), now_epoch=now_epoch)
    ordered = [instruments[key] for key in snapshot.instrument_ids]
    return MarketView(
        snapshot=snapshot,
        instruments=instruments,
        by_symbol={row.symbol: row for row in instruments.values()},
        prices=dict(zip(snapshot.symbols, price.tolist(), strict=True)),
        price_column=price,
        symbol_column=np.array([*snapshot.symbols, None], dtype=object),
        neighbourhood=Neighbourhood(
            sector_of={row.symbol: row.sector for row in instruments.values()},
            market=snapshot.symbols,
            returns=partial(standardised_returns, snapshot),
        ),
        timezones=[row.exchange.timezone for row in ordered],
        now_epoch=now_epoch,
    )


_last_view: list[MarketView] = []


def kept_view(snapshot: MarketSnapshot) -> MarketView:
    """The same for who looks at one snapshot again and again, as evaluations of many slices do: one query, and what it
    has made of the snapshot stays as long as no quote has become stale since. What staff changes of an instrument
    counts from the next snapshot on."""
    kept = _last_view[0] if _last_view else None
    if kept is not None and kept.snapshot is snapshot:
        ((now, newest),) = selected("SELECT clock_timestamp(), (SELECT max(id) FROM market_instrument)")
        now_epoch = now.timestamp()
        ages = now_epoch - snapshot.price_received_at, kept.now_epoch - snapshot.price_received_at
        same = np.array_equal(ages[0] <= STALE_SECONDS, ages[1] <= STALE_SECONDS)
        if same and newest == max(kept.instruments, default=None):  # somebody may hold a new one already
            return replace(kept, now_epoch=now_epoch)
    _last_view[:] = [market_view(snapshot)]
    return _last_view[0]


@dataclass(frozen=True)
class SymbolMarket:
    """What the controls ask of one symbol's market. Numbers are NaN where unknown, stale or out of the snapshot."""

    snapshot: MarketSnapshot
    symbol: str
    facts: MarketFacts
    is_fresh: bool
    _told: dict[str, Decimal] = field(default_factory=dict, compare=False)

    @cached_property
    def _place(self) -> int | None:
        return self.snapshot.index(self.symbol)

    @cached_property
    def is_open(self) -> bool:
        return self._place is not None and bool(self.snapshot.is_open[self._place])

    def fact(self, name: str) -> Decimal:
        """A market field, as the rules see it."""
        if name not in self._told:
            self._told[name] = _decimal(self.facts.values.get(name), self._place)
        return self._told[name]

    @cached_property
    def bar_close(self) -> Decimal:
        """Of the last completed bar."""
        pair = self.facts.completed.get("price")
        return _decimal(pair[1] if pair is not None else None, self._place)

    @cached_property
    def spread_bps(self) -> Decimal:
        """Of the quote itself, against its middle."""
        bid, ask = self.snapshot.bid_price(self.symbol), self.snapshot.ask_price(self.symbol)
        if bid is None or ask is None or not self.is_fresh:
            return Decimal("NaN")
        return (ask - bid) / (ask + bid) * 20_000

    def minutes_since(self, moment: datetime) -> Decimal:
        """Market time."""
        return Decimal(repr((self.snapshot.as_of - moment).total_seconds())) / 60


def _decimal(values: Vector | None, place: int | None) -> Decimal:
    return Decimal("NaN") if values is None or place is None else Decimal(repr(float(values[place])))


Row = TypeVar("Row", Position, Reservation)


def _grouped(rows: Iterable[Row]) -> dict[uuid.UUID, list[Row]]:
    groups: dict[uuid.UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.portfolio_id, []).append(row)
    return groups


def read_owned(portfolio_ids: Iterable[uuid.UUID]) -> OwnedRows:
    """Six queries, no lock."""
    wanted = [array_text(portfolio_ids)]
    mine = "t.portfolio_id = ANY(%s::uuid[])"
    return with_marks(
        portfolios={row.id: row for row in load_where(Portfolio, "t.id = ANY(%s::uuid[])", wanted)},
        positions=load_where(Position, f"{mine} AND t.quantity > 0", wanted),
        reservations=load_where(Reservation, mine, wanted),
    )


@asking
def with_marks(
    *,
    portfolios: Mapping[uuid.UUID, Portfolio],
    positions: Iterable[Position],
    reservations: Iterable[Reservation],
) -> Steps[OwnedRows]:
    """Add marks and unsettled splits (three queries) to rows that somebody has, locked or not."""
    held = list(positions)
    open_ids = array_text([p.id for p in held if p.id is not None and p.quantity > 0])
    marks, peaks = yield [
        where(PortfolioMark, "t.portfolio_id = ANY(%s::uuid[])", [array_text(portfolios)]),
        where(PositionMark, "t.position_id = ANY(%s::bigint[])", [open_ids]),
    ]
    unsettled = yield from unsettled_splits.steps(portfolios)
    return OwnedRows(
        portfolios=portfolios,
        positions=_grouped(held),
        reservations=_grouped(reservations),
        marks={row.portfolio_id: row for row in rows_of(PortfolioMark, marks)},
        peaks={row.position_id: row for row in rows_of(PositionMark, peaks)},
        unsettled=unsettled,
    )


def holdings_of(
    rows: OwnedRows, portfolio_id: uuid.UUID, instruments: Mapping[int, Instrument]
) -> list[Holding]:
    """What is held or being bought, in the order of the instruments."""
    working: dict[int, Decimal] = {}
    for promise in rows.reservations.get(portfolio_id, []):
        if promise.cash > 0:
            working[promise.instrument_id] = working.get(promise.instrument_id, ZERO) + promise.cash
    held = {row.instrument_id: row for row in rows.positions.get(portfolio_id, []) if row.quantity > 0}
    result = []
    for instrument_id in sorted(held.keys() | working.keys()):
        instrument, row = instruments[instrument_id], held.get(instrument_id)
        peak = rows.peaks.get(row.id) if row is not None and row.id is not None else None
        same_opening = peak is not None and row is not None and peak.opened_at == row.opened_at
        result.append(
            Holding(
                symbol=instrument.symbol,
                sector=instrument.sector,
                quantity=row.quantity if row else ZERO,
                average_cost=row.average_cost if row else ZERO,
                reserved_quantity=row.reserved_quantity if row else ZERO,
                working_cash=working.get(instrument_id, ZERO),
                opened_at=row.opened_at if row else None,
                peak_price=peak.peak_price if peak is not None and same_opening else None,
            )
        )
    return result


def marks_of(rows: OwnedRows, portfolio_id: uuid.UUID, *, as_of: datetime) -> Marks | None:
    """The marks as they count at this market time; None before the first evaluation."""
    mark = rows.marks.get(portfolio_id)
    if mark is None:
        return None
    return Marks(
        day_open_equity=mark.day_open_equity if mark.day >= as_of.date() else None,
        peak_equity=mark.peak_equity,
    )


def valuation_of(rows: OwnedRows, portfolio_id: uuid.UUID, view: MarketView) -> Valuation:
    """The portfolio at the view's prices; a day that has not begun yet for it counts from its present equity."""
    portfolio = rows.portfolios[portfolio_id]
    unsettled = [view.instruments[key].symbol for owner, key in rows.unsettled if owner == portfolio_id]
    return value(
        cash=portfolio.cash,
        reserved_cash=portfolio.reserved_cash,
        holdings=holdings_of(rows, portfolio_id, view.instruments),
        prices={**view.prices, **dict.fromkeys(unsettled, math.nan)} if unsettled else view.prices,
        marks=marks_of(rows, portfolio_id, as_of=view.snapshot.as_of),
        as_of=view.snapshot.as_of,
    )


def facts_of(valuation: Valuation, *, universe: frozenset[str] | None, view: MarketView) -> PortfolioFacts:
    """A valuation in the words of the rule catalogue."""
    return PortfolioFacts(
        values=valuation.portfolio,
        positions=valuation.positions,
        universe=universe,
        symbols=Diversification(view.neighbourhood, sectors=valuation.sectors, held=valuation.held),
        awaited=valuation.awaited,
    )
