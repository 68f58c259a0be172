"""What a day's profit, the drawdown and trailing exits are measured against, as an evaluation or a sweep finds it; and
the points of equity curves."""

from datetime import timedelta

import numpy as np

from foundation.core.money import as_decimal
from portfolios.core.columns import EPOCH, NEVER
from portfolios.services.marks import EquityMark, PeakMark, note_equity, note_peaks
from trading.services.equity_points import note_equity_points
from trading.services.worth import Worth


def mark_equity(worth: Worth) -> None:
    """A new market day takes the portfolio's first known equity; the peak rises."""
    columns, equity, day = worth.columns, worth.valued.equity, worth.valued.as_of.date()
    # Without marks all comparisons are false.
    same = (columns.mark_day >= (day - EPOCH.date()).days) & (equity <= columns.peak_equity)
    note_equity(
        [
            EquityMark(
                columns.portfolio_ids[place],
                day,
                as_decimal(float(equity[place])),
                as_decimal(float(columns.cash[place])),
            )
            for place in np.flatnonzero(~same & ~np.isnan(equity)).tolist()
        ]
    )
    in_other_units = {
        columns.portfolio_ids[place] for place in set(columns.owner[columns.unsettled].tolist())
    }
    note_equity_points(columns.portfolio_ids, in_other_units=in_other_units, view=worth.view)


def mark_peaks(worth: Worth) -> None:
    """The highest price of every position since it was opened. Prices are the snapshot's, fresh or not."""
    columns, snapshot = worth.columns, worth.view.snapshot
    price = np.append(snapshot.column("price"), np.nan)[worth.places]
    open_now = worth.valued.held & (columns.opened_at != NEVER) & ~columns.unsettled
    risen = open_now & np.isfinite(price) & ~(price <= columns.peak_price)
    found = []
    for place in np.flatnonzero(risen).tolist():
        exact = snapshot.price(snapshot.symbols[worth.places[place]])
        if exact is not None:
            opened = EPOCH + timedelta(microseconds=int(columns.opened_at[place]))
            quantity = as_decimal(float(columns.quantity[place]))
            found.append(PeakMark(int(columns.position_id[place]), opened, quantity, exact))
    note_peaks(found)
