"""What many portfolios are worth, in columns: `portfolios.core.facts.value` for all of them at once. Pure.

An evaluation asks it of hundreds of portfolios of which hardly one acts; what acts is valued again one by one, in
Decimal and under lock. A property test holds the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from foundation.core.percentages import as_written

Vector = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = np.iinfo(np.int64).min  # as a time that there is none of
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000


@dataclass(frozen=True)
class OwnedColumns:
    """P portfolios, and the H instruments that they hold or are buying: by portfolio, then by instrument.

    Money is in currency; NaN where there is nothing. `mark_day` counts days since 1970. Of a holding `owner` is the
    place of its portfolio, `position_id` 0 and `quantity` 0 where it is only being bought; `opened_at` is in
    microseconds since 1970, or NEVER; `peak_price` is that of this opening; `unsettled` where a split is in the prices
    and not in the quantity.
    """

    portfolio_ids: Sequence[UUID]
    cash: Vector
    reserved_cash: Vector
    mark_day: Vector
    day_open_equity: Vector
    peak_equity: Vector
    rules_revision: Whole
    owner: Whole
    instrument_id: Whole
    position_id: Whole
    quantity: Vector
    average_cost: Vector
    opened_at: Whole
    peak_price: Vector
    working_cash: Vector
    unsettled: Flags

    def renewed(self, places: Sequence[int], fresh: "OwnedColumns") -> "OwnedColumns":
        """With the portfolios at these rising places as they are in `fresh`, which has them alone, in that order."""
        chosen = np.array(places, dtype=np.intp)
        stays = ~np.isin(self.owner, chosen)
        owner = np.concatenate([self.owner[stays], chosen[fresh.owner]])
        order = np.argsort(owner, kind="stable")
        renewed: dict[str, Any] = {"owner": owner[order]}
        for name in _OF_PORTFOLIOS:
            renewed[name] = getattr(self, name).copy()
            renewed[name][chosen] = getattr(fresh, name)
        for name in _OF_HOLDINGS:
            renewed[name] = np.concatenate([getattr(self, name)[stays], getattr(fresh, name)])[order]
        return replace(self, **renewed)


_OF_PORTFOLIOS = ("cash", "reserved_cash", "mark_day", "day_open_equity", "peak_equity", "rules_revision")
_OF_HOLDINGS = tuple(
    field.name
    for field in fields(OwnedColumns)
    if field.name not in ("portfolio_ids", "owner", *_OF_PORTFOLIOS)
)


@dataclass(frozen=True)
class Valued:
    """`equity` float64[P], `portfolio` the facts of that kind, each float64[P]; `held` marks the holdings of which
    something is held; `prices` and `exposed` (worth and working cash) float64[H]."""

    columns: OwnedColumns
    prices: Vector
    as_of: datetime
    equity: Vector
    portfolio: Mapping[str, Vector]
    exposed: Vector
    held: Flags

    @cached_property
    def positions(self) -> Mapping[str, Vector]:
        """The facts of kind position of what is held, each float64[held.sum()]."""
        rows, held = self.columns, self.held
        price, cost, quantity = self.prices[held], rows.average_cost[held], rows.quantity[held]
        opened, peak = rows.opened_at[held], rows.peak_price[held]
        peak = np.where(np.isnan(peak), price, np.maximum(price, peak))
        days = (microseconds(self.as_of) - np.where(opened == NEVER, 0, opened)) // _DAY
        return {
            "position_quantity": quantity,
            "position_pnl_percentage": _percent(price - cost, cost),
            "position_weight_percentage": _percent(self.exposed[held], self.equity[rows.owner[held]]),
            "holding_days": np.where(opened == NEVER, np.nan, days),
            "drawdown_from_peak_percentage": _percent(peak - price, peak),
        }

    def holdings_of(self, place: int) -> slice:
        """Where the holdings of a portfolio stand."""
        start, stop = np.searchsorted(self.columns.owner, (place, place + 1)).tolist()
        return slice(start, stop)


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def value_many(columns: OwnedColumns, *, prices: Vector, as_of: datetime) -> Valued:
    """Value portfolios at the prices of their holdings, float64[H] (NaN: unknown), and this market time."""
    count, owner = len(columns.portfolio_ids), columns.owner
    held = columns.quantity > 0
    prices = np.where(columns.unsettled, np.nan, prices)
    worth = np.where(held, columns.quantity * prices, 0.0)
    equity = columns.cash + np.bincount(owner, worth, count)
    exposed = worth + columns.working_cash
    today = (as_of.date() - EPOCH.date()).days
    day_open = np.where(columns.mark_day >= today, columns.day_open_equity, equity)
    peak = np.where(np.isnan(columns.peak_equity), equity, np.maximum(columns.peak_equity, equity))
    return Valued(
        columns=columns,
        prices=prices,
        as_of=as_of,
        equity=equity,
        portfolio={
            "portfolio_equity": equity,
            "portfolio_cash_percentage": _percent(columns.cash - columns.reserved_cash, equity),
            "gross_exposure_percentage": _percent(
                np.bincount(owner, exposed, count).astype(np.float64), equity
            ),
            "open_positions": np.bincount(owner, minlength=count).astype(np.float64),
            "daily_pnl_percentage": _percent(equity - day_open, day_open),
            "drawdown_percentage": _percent(peak - equity, peak),
        },
        exposed=exposed,
        held=held,
    )


def _percent(part: Vector, whole: Vector) -> Vector:
    known = whole > 0
    return as_written(np.divide(part, whole, out=np.full(len(part), np.nan), where=known) * 100.0)
