"""What a portfolio is worth, and the facts that rules may ask of it. Pure; float64, for facts only.

Working buys count as held and reserved cash as spent, so that a decision taken before a fill
arrives sees the portfolio as it will be.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from foundation.core.percentages import as_written
from foundation.core.quick import quick_init

SECONDS_A_DAY = 86_400.0


class Holding(NamedTuple):
    """One instrument held or being bought. quantity in units, average_cost and peak_price in currency.

    working_cash is what open buy orders have reserved for it; reserved_quantity is promised to sells.
    """

    symbol: str
    sector: str
    quantity: Decimal
    average_cost: Decimal
    reserved_quantity: Decimal = Decimal(0)
    working_cash: Decimal = Decimal(0)
    opened_at: datetime | None = None
    peak_price: Decimal | None = None


@quick_init
@dataclass(frozen=True)
class Marks:
    """The day's first equity (None: the day has not begun yet for it) and the highest ever, in currency."""

    day_open_equity: Decimal | None
    peak_equity: Decimal


@quick_init
@dataclass(frozen=True)
class Valuation:
    """equity in currency, NaN while the price of something held is unknown.

    portfolio: the facts of kind portfolio; sectors: sector -> percent of equity; held: the symbols held or being
    bought, in the order of the holdings.
    """

    equity: float
    portfolio: Mapping[str, float]
    sectors: Mapping[str, float]
    held: tuple[str, ...]
    holdings: Sequence[Holding]
    prices: Mapping[str, float]
    as_of: datetime

    @cached_property
    def positions(self) -> Mapping[str, Mapping[str, float]]:
        """Per held symbol the facts of kind position: made when a rule asks; no control does."""
        return {
            h.symbol: _position_facts(
                h, price=self.prices.get(h.symbol, math.nan), equity=self.equity, as_of=self.as_of
            )
            for h in self.holdings
            if h.quantity > 0
        }

    @cached_property
    def awaited(self) -> frozenset[str]:
        """The symbols of which nothing is held yet and some is being bought."""
        return frozenset(h.symbol for h in self.holdings if h.quantity <= 0)


def percent(part: float, whole: float) -> float:
    """NaN unless the whole is above 0."""
    return as_written(part / whole * 100.0) if whole > 0 else math.nan


def _position_facts(holding: Holding, *, price: float, equity: float, as_of: datetime) -> dict[str, float]:
    cost = float(holding.average_cost)
    held = float(holding.quantity)
    peak = max(price, float(holding.peak_price)) if holding.peak_price is not None else price
    opened = holding.opened_at
    return {
        "position_quantity": held,
        "position_pnl_percentage": percent(price - cost, cost),
        "position_weight_percentage": percent(held * price + float(holding.working_cash), equity),
        "holding_days": math.floor((as_of - opened).total_seconds() / SECONDS_A_DAY) if opened else math.nan,
        "drawdown_from_peak_percentage": percent(peak - price, peak),
    }


def value(
    *,
    cash: Decimal,
    reserved_cash: Decimal,
    holdings: Sequence[Holding],
    prices: Mapping[str, float],
    marks: Marks | None,
    as_of: datetime,
) -> Valuation:
    """Value a portfolio at these prices (NaN or missing: unknown) and market time."""
    worth = {h.symbol: float(h.quantity) * prices.get(h.symbol, math.nan) for h in holdings if h.quantity > 0}
    equity = float(cash) + sum(worth.values())
    exposed = {h.symbol: worth.get(h.symbol, 0.0) + float(h.working_cash) for h in holdings}
    sectors: dict[str, float] = {}
    for holding in holdings:
        sectors[holding.sector] = sectors.get(holding.sector, 0.0) + exposed[holding.symbol]
    day_open = (
        float(marks.day_open_equity) if marks is not None and marks.day_open_equity is not None else equity
    )
    peak = max(float(marks.peak_equity), equity) if marks is not None else equity
    return Valuation(
        equity=equity,
        portfolio={
            "portfolio_equity": equity,
            "portfolio_cash_percentage": percent(float(cash - reserved_cash), equity),
            "gross_exposure_percentage": percent(sum(exposed.values()), equity),
            "open_positions": float(len(exposed)),
            "daily_pnl_percentage": percent(equity - day_open, day_open),
            "drawdown_percentage": percent(peak - equity, peak),
        },
        sectors={sector: percent(worth, equity) for sector, worth in sectors.items()},
        held=tuple(exposed),
        holdings=holdings,
        prices=prices,
        as_of=as_of,
    )
