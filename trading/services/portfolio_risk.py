"""The risk of one portfolio at the current snapshot, read without a lock in a number of queries that is always the
same. Nothing is written, and nothing waits for it."""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db.models import Count, Q, QuerySet

from foundation.core.money import ZERO, as_decimal
from foundation.errors import NotFound
from foundation.isolation import repeatable_read
from market.core.indicators import correlations
from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from market.services import snapshots
from market.services.returns import returns_of, standardised_returns
from portfolios.core.facts import Holding, Marks, Valuation
from portfolios.core.limits import LimitRow, tightest
from portfolios.selectors import instrument_limits, limit_rows
from sessions.models import TradingSession
from trading.core.limit_use import HighestCorrelation, LimitUse, Standing, TradeCount, limit_uses
from trading.core.portfolio_risk import (
    Concentration,
    Drawdown,
    ReturnsRisk,
    concentration,
    drawdown,
    highest_pairs,
    returns_risk,
    unknown_returns_risk,
)
from trading.models import AutoTrade
from trading.selectors.breakers import losing_streaks, rejections_last_minute, releases_of_rules
from trading.services.facts import (
    MarketView,
    OwnedRows,
    holdings_of,
    market_view,
    marks_of,
    read_owned,
    valuation_of,
)
from trading.services.history import NOT_COUNTED, messages_sent

_WINDOW_MAX = timedelta(days=36_500)


@dataclass(frozen=True)
class AssessedHolding:
    """exposure in currency, working buys included; weight a fraction of equity; risk_share one of the variance."""

    symbol: str
    sector: str
    exposure: Decimal | None
    weight: float | None
    risk_share: float | None


@dataclass(frozen=True)
class SectorWeight:
    sector: str
    exposure_percentage: float | None
    """of equity, working buys included"""


@dataclass(frozen=True)
class PortfolioRisk:
    """What is known of a portfolio's risk at one snapshot; None is unknown.

    `unknown_prices`: the symbols held of which the snapshot has no fresh price, because of which the equity, and all
    that is told in parts of it, is unknown.
    """

    snapshot_version: int | None
    as_of: datetime | None
    equity: Decimal | None
    unknown_prices: tuple[str, ...]
    holdings: Sequence[AssessedHolding]
    concentration: Concentration | None
    sectors: Sequence[SectorWeight]
    returns: ReturnsRisk
    drawdown: Drawdown
    limits_version: str
    limits: Sequence[LimitUse]


@dataclass(frozen=True)
class _Valued:
    """One portfolio's holdings at the prices of a snapshot; without one, only what does not depend on prices."""

    holdings: Sequence[Holding]
    exposures: Mapping[str, Decimal | None]
    unknown_prices: tuple[str, ...]
    valuation: Valuation | None
    marks: Marks | None

    @property
    def equity(self) -> Decimal | None:
        return _known(self.valuation.equity) if self.valuation is not None else None

    def sectors(self) -> list[SectorWeight]:
        """The largest first."""
        names = {holding.sector for holding in self.holdings}
        if self.valuation is None or self.equity is None or self.equity <= 0:
            return [SectorWeight(name, None) for name in sorted(names)]
        percentages = self.valuation.sectors
        return [
            SectorWeight(name, percentages[name])
            for name in sorted(names, key=lambda n: (-percentages[n], n))
        ]

    def weights(self) -> dict[str, float] | None:
        """Fractions of equity; None while one of them is unknown."""
        equity = self.equity
        if equity is None or equity <= 0 or any(value is None for value in self.exposures.values()):
            return None
        return {
            symbol: float(value / equity) for symbol, value in self.exposures.items() if value is not None
        }


def _known(value: float) -> Decimal | None:
    return as_decimal(value) if math.isfinite(value) else None


def assess_portfolio(portfolio_id: uuid.UUID) -> PortfolioRisk:
    """The whole assessment. Raises NotFound. Before the first snapshot everything that needs prices is unknown."""
    rows = _read_together(portfolio_id)
    snapshot = snapshots.current()
    view = market_view(snapshot) if snapshot is not None else None
    instruments = view.instruments if view is not None else Instrument.objects.in_bulk()
    valued = _value(rows, portfolio_id, view, instruments)
    weights, equity = valued.weights(), valued.equity
    returns = unknown_returns_risk()
    if snapshot is not None and weights is not None and equity is not None:
        returns = returns_risk(weights, returns_of(snapshot, list(weights)), equity)
    sectors, loss = valued.sectors(), drawdown(equity, valued.marks)
    limits = _limits_of(portfolio_id)
    standing = _standing(portfolio_id, valued, snapshot, loss, sectors, limits)
    return PortfolioRisk(
        snapshot_version=snapshot.version if snapshot is not None else None,
        as_of=snapshot.as_of if snapshot is not None else None,
        equity=equity,
        unknown_prices=valued.unknown_prices,
        holdings=_assessed(valued, weights, returns),
        concentration=concentration(weights) if weights is not None else None,
        sectors=sectors,
        returns=returns,
        drawdown=loss,
        limits_version=tightest(limits).versions,
        limits=limit_uses(
            standing,
            rows=limits,
            of_instruments={instruments[key].symbol: row for key, row in instrument_limits().items()},
        ),
    )


def _read_together(portfolio_id: uuid.UUID) -> OwnedRows:
    """Cash and positions of one moment: a fill between the queries would count the same money twice, or not at all."""
    with repeatable_read():
        rows = read_owned([portfolio_id])
    if portfolio_id not in rows.portfolios:
        raise NotFound(f"There is no portfolio {portfolio_id}.")
    return rows


def _value(
    rows: OwnedRows, portfolio_id: uuid.UUID, view: MarketView | None, instruments: Mapping[int, Instrument]
) -> _Valued:
    holdings = holdings_of(rows, portfolio_id, instruments)
    if view is None:
        unknown = tuple(holding.symbol for holding in holdings if holding.quantity > 0)
        return _Valued(holdings, {holding.symbol: None for holding in holdings}, unknown, None, None)
    in_other_units = {instruments[key].symbol for _, key in rows.unsettled if key in instruments}
    exposures = {
        holding.symbol: None if holding.symbol in in_other_units else _exposure(holding, view)
        for holding in holdings
    }
    return _Valued(
        holdings=holdings,
        exposures=exposures,
        unknown_prices=tuple(symbol for symbol, value in exposures.items() if value is None),
        valuation=valuation_of(rows, portfolio_id, view),
        marks=marks_of(rows, portfolio_id, as_of=view.snapshot.as_of),
    )


def _exposure(holding: Holding, view: MarketView) -> Decimal | None:
    """Worth of what is held and of what working buys have reserved; None while the price of it is not fresh."""
    if holding.quantity == 0:
        return holding.working_cash
    price = view.snapshot.price(holding.symbol)
    if price is None or not math.isfinite(view.prices.get(holding.symbol, math.nan)):
        return None
    return holding.quantity * price + holding.working_cash


def _assessed(
    valued: _Valued, weights: Mapping[str, float] | None, returns: ReturnsRisk
) -> list[AssessedHolding]:
    """The largest first; where that is unknown, by symbol."""
    shares = returns.risk_shares or {}
    found = [
        AssessedHolding(
            symbol=holding.symbol,
            sector=holding.sector,
            exposure=valued.exposures[holding.symbol],
            weight=weights[holding.symbol] if weights is not None else None,
            risk_share=shares.get(holding.symbol),
        )
        for holding in valued.holdings
    ]
    return sorted(found, key=lambda row: (-(row.exposure or ZERO), row.symbol))


def _limits_of(portfolio_id: uuid.UUID) -> list[LimitRow]:
    running = TradingSession.objects.filter(portfolio_id=portfolio_id, status__in=TradingSession.RUNNING)
    session_id = running.values_list("id", flat=True).first()
    return limit_rows({portfolio_id: session_id})[portfolio_id]


def _standing(
    portfolio_id: uuid.UUID, valued: _Valued, snapshot: MarketSnapshot | None, loss: Drawdown,
    sectors: Sequence[SectorWeight], limits: Sequence[LimitRow],
) -> Standing:  # fmt: skip
    trades = AutoTrade.objects.filter(portfolio_id=portfolio_id)
    pnl = loss.daily_pnl_percentage
    second, minute = messages_sent([portfolio_id]).get(portfolio_id, (0, 0))
    return Standing(
        equity=valued.equity,
        exposures=valued.exposures,
        sectors={
            row.sector: None if row.exposure_percentage is None else as_decimal(row.exposure_percentage)
            for row in sectors
        },
        correlations=_correlations(snapshot, sorted(valued.exposures)),
        trades_today=None if snapshot is None else _counts(_of_the_day(trades, snapshot.as_of)),
        rule_executions=_rule_executions(portfolio_id, trades, snapshot, limits),
        daily_loss_percentage=None if pnl is None else max(-pnl, ZERO),
        drawdown_percentage=loss.percentage,
        losing_streak=losing_streaks([portfolio_id])[portfolio_id],
        rejections_last_minute=rejections_last_minute().get(portfolio_id, 0),
        messages_last_second=second,
        messages_last_minute=minute,
    )


def _correlations(snapshot: MarketSnapshot | None, symbols: Sequence[str]) -> list[HighestCorrelation]:
    """Of each holding with the one that goes with it most, from the returns that rules and controls look at."""
    if len(symbols) < 2:
        return []
    matrix = np.full((len(symbols), len(symbols)), np.nan)
    if snapshot is not None:
        places = [snapshot.index(symbol) for symbol in symbols]
        inside = np.flatnonzero([place is not None for place in places])
        columns = np.array([place for place in places if place is not None], dtype=np.intp)
        matrix[np.ix_(inside, inside)] = correlations(standardised_returns(snapshot), columns, columns)
    return [
        HighestCorrelation(pair.first, pair.second, _known(pair.correlation))
        for pair in highest_pairs(matrix, symbols)
    ]


def _of_the_day(trades: QuerySet[AutoTrade], as_of: datetime) -> QuerySet[AutoTrade]:
    """Those that daily limits count: of the market day, whatever became of them."""
    return trades.filter(market_day=as_of.date()).exclude(origin__in=NOT_COUNTED)


def _counts(trades: QuerySet[AutoTrade]) -> list[TradeCount]:
    grouped = trades.order_by().values_list("rule_id", "rule__name", "symbol").annotate(n=Count("id"))
    return [TradeCount(rule_id, name or "", symbol, n) for rule_id, name, symbol, n in grouped]


def _rule_executions(
    portfolio_id: uuid.UUID,
    trades: QuerySet[AutoTrade],
    snapshot: MarketSnapshot | None,
    limits: Sequence[LimitRow],
) -> list[TradeCount] | None:
    """Within the window in force, as the control counts: what a rule did before its last release is judged. None when
    no scope sets a window."""
    window = tightest(limits).get("rule_execution_window_minutes")
    if window is None or snapshot is None:
        return None
    since = snapshot.as_of - min(timedelta(minutes=float(window)), _WINDOW_MAX)
    counted = trades.filter(rule__isnull=False, market_at__gt=since)
    for rule_id, released_at in releases_of_rules([portfolio_id]).items():
        counted = counted.exclude(Q(rule_id=rule_id, created_at__lte=released_at))
    return _counts(counted)
