"""What a day's profit, the drawdown and trailing exits are measured against, as an evaluation or a sweep finds it; and
the points of equity curves."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from foundation.core.money import as_decimal
from portfolios.core.columns import EPOCH, NEVER, OwnedColumns
from portfolios.services.marks import EquityMark, PeakMark, note_equity, note_peaks
from trading.services.equity_points import note_equity_points
from trading.services.worth import Worth


def mark(worth: Worth) -> OwnedColumns:
    """Note all that has risen; returns the columns with the marks as they are by now."""
    return mark_peaks(replace(worth, columns=mark_equity(worth)))


def mark_equity(worth: Worth) -> OwnedColumns:
    """A new market day begins, also while the equity is not known (as before the open); the peak rises. Returns as
    `mark`."""
    columns, equity, day = worth.columns, worth.valued.equity, worth.valued.as_of.date()
    # Without marks all comparisons are false.
    same = (columns.mark_day >= _days(day)) & (equity <= columns.peak_equity)
    risen = np.flatnonzero(~same & ~np.isnan(equity) | (columns.mark_day < _days(day))).tolist()
    noted = note_equity(
        [
            EquityMark(
                columns.portfolio_ids[place],
                day,
                None if np.isnan(equity[place]) else as_decimal(float(equity[place])),
                as_decimal(float(columns.cash[place])),
            )
            for place in risen
        ]
    )
    in_other_units = {
        columns.portfolio_ids[place] for place in set(columns.owner[columns.unsettled].tolist())
    }
    note_equity_points(columns.portfolio_ids, in_other_units=in_other_units, view=worth.view)
    if not noted:
        return columns
    mark_day, day_open, peak = (
        column.copy() for column in (columns.mark_day, columns.day_open_equity, columns.peak_equity)
    )
    for place in risen:
        if (found := noted.get(columns.portfolio_ids[place])) is not None:
            mark_day[place], day_open[place], peak[place] = _days(found[0]), *found[1:]
    return replace(columns, mark_day=mark_day, day_open_equity=day_open, peak_equity=peak)


def mark_peaks(worth: Worth) -> OwnedColumns:
    """The highest price of every position since it was opened. Prices are the snapshot's, fresh or not. Returns as
    `mark`."""
    columns, snapshot = worth.columns, worth.view.snapshot
    price = np.append(snapshot.column("price"), np.nan)[worth.places]
    open_now = worth.valued.held & (columns.opened_at != NEVER) & ~columns.unsettled
    risen = np.flatnonzero(open_now & np.isfinite(price) & ~(price <= columns.peak_price))
    exact = {
        place: snapshot.price(snapshot.symbols[place]) for place in np.unique(worth.places[risen]).tolist()
    }
    opened, quantity = columns.opened_at[risen].tolist(), columns.quantity[risen].tolist()
    noted = note_peaks(
        [
            PeakMark(position_id, EPOCH + timedelta(microseconds=since), as_decimal(units), known)
            for position_id, since, units, place in zip(
                columns.position_id[risen].tolist(),
                opened,
                quantity,
                worth.places[risen].tolist(),
                strict=True,
            )
            if (known := exact[place]) is not None
        ]
    )
    if not noted:
        return columns
    peaks = columns.peak_price.copy()
    for place, position_id in zip(risen.tolist(), columns.position_id[risen].tolist(), strict=True):
        peaks[place] = noted.get(position_id, peaks[place])
    return replace(columns, peak_price=peaks)


def _days(day: date) -> int:
    return (day - EPOCH.date()).days
