"""The marks that a day's profit, the drawdown and trailing exits are measured against.

Written by evaluation, as its last rows before the journal, and moved in proportion by deposits and withdrawals, which
are neither profit nor loss. Peaks are noted besides by every buy, with the price it was filled at the market of, and by
whoever watches the positions' protections, so that they do not hang on a session.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from foundation.arrays import array_text
from foundation.core.money import ZERO
from foundation.loading import selected
from portfolios.services.equity import equity_at_last_prices

BEGINS_WITH_DAYS = 7
# The columns end there.
EQUITY_MAX = Decimal("999999999999.99999999")


@dataclass(frozen=True)
class EquityMark:
    """`equity` None: something held has no price just now. `cash` is the portfolio's when the equity was read: money
    that moved since has moved the marks, too. It may have gone through float64, and is compared so."""

    portfolio_id: uuid.UUID
    day: date
    equity: Decimal | None
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
    """A new market day begins with the last equity that its curve knows of the day before, or else with its first one;
    the peak only rises. Returns the marks that changed: day, equity at its beginning, peak.

    So a gap over night is a loss of the day whose open shows it. Money that moved since that point is counted in; what
    is older than BEGINS_WITH_DAYS says nothing of this day.

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
                SELECT owner.id, owner.paid_in FROM portfolios_portfolio AS owner
                JOIN n ON n.portfolio_id = owner.id AND n.cash::float8 = owner.cash::float8
                WHERE owner.id = ANY(%s::uuid[])
                FOR SHARE OF owner SKIP LOCKED
            ), begun AS (
                SELECT n.portfolio_id, n.day, coalesce(before.equity, n.equity) AS day_open,
                    coalesce(n.equity, before.equity) AS equity
                FROM n JOIN same ON same.id = n.portfolio_id
                LEFT JOIN portfolios_portfoliomark AS known ON known.portfolio_id = n.portfolio_id
                LEFT JOIN LATERAL (
                    SELECT greatest(cash + exposure - paid_in + same.paid_in, 0) AS equity
                    FROM portfolios_equitypoint
                    WHERE known.day < n.day AND portfolio_id = n.portfolio_id
                        AND at < n.day::timestamp AT TIME ZONE 'UTC'
                        AND at >= (n.day - %s)::timestamp AT TIME ZONE 'UTC'
                    ORDER BY at DESC, id DESC LIMIT 1
                ) AS before ON true
            )
            INSERT INTO portfolios_portfoliomark AS mark (portfolio_id, day, day_open_equity, peak_equity)
            SELECT portfolio_id, day, day_open, equity FROM begun WHERE equity IS NOT NULL ORDER BY portfolio_id
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
            BEGINS_WITH_DAYS,
        ],
    )
    return {key: (day, opened, peak) for key, day, opened, peak in rows}


def shift_equity(portfolio_id: uuid.UUID, *, amount: Decimal) -> None:
    """Money came in (or went out, negative): the marks move with the equity, in proportion, so that losses in percent
    are after it what they were before. The portfolio is locked, and the money is booked.

    In proportion as in a time-weighted return: if the money were added to the marks, a withdrawal would deepen a loss
    beyond its limit, and a deposit hide it. It is added only where nothing was there before it, or where that is not
    known: a split is not booked yet, or something held was never quoted.
    """
    now = equity_at_last_prices(portfolio_id)
    before = now.equity - amount if now is not None else ZERO
    if now is not None and before > 0:
        moved = {"times": now.equity, "by": before, "plus": ZERO}
    else:
        moved = {"times": Decimal(1), "by": Decimal(1), "plus": amount}
    selected(
        """
            UPDATE portfolios_portfoliomark SET
                day_open_equity = greatest(least(day_open_equity * %(times)s / %(by)s + %(plus)s, %(most)s), 0),
                peak_equity = greatest(least(peak_equity * %(times)s / %(by)s + %(plus)s, %(most)s), 0)
            WHERE portfolio_id = %(portfolio_id)s
            """,
        {**moved, "most": EQUITY_MAX, "portfolio_id": portfolio_id},
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
