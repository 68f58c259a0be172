"""What a day's profit, the drawdown and trailing exits are measured against, as an evaluation or a sweep finds it; and
the points of equity curves."""

import uuid
from collections.abc import Mapping

from foundation.core.money import as_decimal
from portfolios.core.facts import Valuation
from portfolios.services.marks import EquityMark, PeakMark, note_equity, note_peaks
from trading.services.equity_points import note_equity_points
from trading.services.facts import MarketView, OwnedRows


def mark_equity(owned: OwnedRows, valuations: Mapping[uuid.UUID, Valuation], view: MarketView) -> None:
    """A new market day takes the portfolio's first known equity; the peak rises."""
    day, marks = view.snapshot.as_of.date(), owned.marks
    found = []
    for portfolio_id, valuation in valuations.items():
        equity, mark = valuation.equity, marks.get(portfolio_id)
        if equity == equity and (mark is None or mark.day < day or equity > float(mark.peak_equity)):
            cash = owned.portfolios[portfolio_id].cash
            found.append(EquityMark(portfolio_id, day, as_decimal(equity), cash))
    note_equity(found)
    note_equity_points(owned.portfolios, unsettled=owned.unsettled, view=view)


def mark_peaks(owned: OwnedRows, view: MarketView) -> None:
    """The highest price of every position since it was opened."""
    found = []
    for position in (row for rows in owned.positions.values() for row in rows):
        if position.opened_at is None or (position.portfolio_id, position.instrument_id) in owned.unsettled:
            continue
        price = view.snapshot.price(view.instruments[position.instrument_id].symbol)
        peak = owned.peaks.get(position.id)
        if price is None:
            continue
        if peak is None or peak.opened_at != position.opened_at or price > peak.peak_price:
            found.append(PeakMark(position.id, position.opened_at, position.quantity, price))
    note_peaks(found)
