"""The marks that a day's profit, the drawdown and trailing exits are measured against.

Written by evaluation, as its last rows before the journal, and shifted by deposits and withdrawals, which are
neither profit nor loss. Peaks are noted besides by every buy, with the price it was filled at the market of, and by
whoever watches the positions' protections, so that they do not hang on a session.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from foundation.arrays import array_text
from foundation.loading import selected


@dataclass(frozen=True)
class EquityMark:
    """`cash` is the portfolio's when the equity was read: money that moved since has moved the marks, too. It may have
    gone through float64, and is compared so."""

    portfolio_id: uuid.UUID
    day: date
    equity: Decimal
    cash: Decimal


@dataclass(frozen=True)
class PeakMark:
    """`quantity` is what was held when the price was seen: after a split, or a fill, it counts no more. It may have
    gone through float64, and is compared so."""

    position_id: int
    opened_at: datetime
    quantity: Decimal
    price: Decimal


def _moments_text(moments: Iterable[date]) -> str:
    """As `array_text`, of days and of times with their zone."""
    return f"{{{','.join([moment.isoformat() for moment in moments])}}}"


def note_equity(marks: Sequence[EquityMark]) -> dict[uuid.UUID, tuple[date, float, float]]:
    """A new market day takes its first equity; the peak only rises. Returns the marks that changed: day, equity at its
    beginning, peak.

    A portfolio that somebody is changing, or that has other cash by now, is left to the next look: nobody waits
    here, and no mark is made of an equity that a deposit or a withdrawal has made untrue.
    """
    if not marks:
        return {}
    ordered = sorted(marks, key=lambda mark: mark.portfolio_id)
    rows = selected(
        """
            WITH n AS (
                SELECT * FROM unnest(%s::uuid[], %s::date[], %s::numeric[], %s::numeric[])
                    AS n (portfolio_id, day, equity, cash)
            ), same AS (
                SELECT owner.id FROM portfolios_portfolio AS owner
                JOIN n ON n.portfolio_id = owner.id AND n.cash::float8 = owner.cash::float8
                WHERE owner.id = ANY(%s::uuid[])
                FOR SHARE OF owner SKIP LOCKED
            )
            INSERT INTO portfolios_portfoliomark AS mark (portfolio_id, day, day_open_equity, peak_equity)
            SELECT portfolio_id, day, equity, equity FROM n JOIN same ON same.id = n.portfolio_id
            ORDER BY portfolio_id
            ON CONFLICT (portfolio_id) DO UPDATE SET
                day_open_equity = CASE WHEN excluded.day > mark.day
                                       THEN excluded.day_open_equity ELSE mark.day_open_equity END,
                peak_equity = greatest(mark.peak_equity, excluded.peak_equity),
                day = greatest(mark.day, excluded.day)
            WHERE excluded.day > mark.day OR excluded.peak_equity > mark.peak_equity
            RETURNING portfolio_id, day, day_open_equity::float8, peak_equity::float8
            """,
        [
            names := array_text([m.portfolio_id for m in ordered]),
            _moments_text([m.day for m in ordered]),
            array_text([m.equity for m in ordered]),
            array_text([m.cash for m in ordered]),
            names,
        ],
    )
    return {key: (day, opened, peak) for key, day, opened, peak in rows}


def shift_equity(portfolio_id: uuid.UUID, *, amount: Decimal) -> None:
    """Money came in (or went out, negative): the marks move with it. The portfolio is locked."""
    selected(
        """
            UPDATE portfolios_portfoliomark
            SET day_open_equity = greatest(day_open_equity + %(amount)s, 0),
                peak_equity = greatest(peak_equity + %(amount)s, 0)
            WHERE portfolio_id = %(portfolio_id)s
            """,
        {"amount": amount, "portfolio_id": portfolio_id},
    )


def note_peaks(peaks: Sequence[PeakMark]) -> dict[int, float]:
    """A new opening takes its first price; from then on the peak only rises, whoever comes late with an older one.
    Returns the peaks that changed, by position.

    At most one for each position; the caller passes only those that may have risen. A price that was seen while
    another quantity was held is left out: it may count in units before a split. Positions are looked up by an array of
    their keys, for a join alone may read the whole table.
    """
    if not peaks:
        return {}
    ordered = sorted(peaks, key=lambda peak: peak.position_id)
    rows = selected(
        """
            INSERT INTO portfolios_positionmark AS mark (position_id, opened_at, peak_price)
            SELECT n.position_id, n.opened_at, n.peak_price
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::numeric[], %s::numeric[])
                AS n (position_id, opened_at, quantity, peak_price)
            JOIN (SELECT id, quantity FROM portfolios_position WHERE id = ANY(%s::bigint[])) AS held
                ON held.id = n.position_id AND held.quantity::float8 = n.quantity::float8
            ON CONFLICT (position_id) DO UPDATE SET
                peak_price = CASE WHEN excluded.opened_at > mark.opened_at THEN excluded.peak_price
                                  WHEN excluded.opened_at < mark.opened_at THEN mark.peak_price
                                  ELSE greatest(mark.peak_price, excluded.peak_price) END,
                opened_at = greatest(mark.opened_at, excluded.opened_at)
            WHERE excluded.opened_at > mark.opened_at
               OR excluded.opened_at = mark.opened_at AND excluded.peak_price > mark.peak_price
            RETURNING position_id, peak_price::float8
            """,
        [
            names := array_text([p.position_id for p in ordered]),
            _moments_text([p.opened_at for p in ordered]),
            array_text([p.quantity for p in ordered]),
            array_text([p.price for p in ordered]),
            names,
        ],
    )
    return dict(rows)


def rescale_peaks(position_ids: Sequence[int], *, new_units: int, old_units: int) -> None:
    """After a split prices count in new units, and the peaks with them. The portfolios are locked."""
    if not position_ids:
        return
    selected(
        "UPDATE portfolios_positionmark SET peak_price = round(peak_price * %s / %s, 8) "
        "WHERE position_id = ANY(%s)",
        [old_units, new_units, sorted(position_ids)],
    )
