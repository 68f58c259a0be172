"""What was promised and measured at a moment that is over; what was owned, the ledger tells.

Rows of today's models, unsaved, as they were seen then. How far back: as long as `models.past` is kept.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from foundation.loading import new
from foundation.moments import LONGEST_TRANSACTION, Moment, was_seen
from market.splits import UNQUOTED_AT_MOST, begins_before
from portfolios.models import PortfolioMark, PositionMark, Reservation

# Of each row that was replaced since, the first that was still there: what replaced it later does not matter. A row
# that was not replaced since stands in the table itself.
_SINCE = (
    f"t.until >= %(moment)s - interval '{LONGEST_TRANSACTION}' AND NOT {was_seen('t.until', 't.ended_by')}"
)

_RESERVATIONS = f"""
    WITH replaced AS (
        SELECT DISTINCT ON (owner_id) owner_id, instrument_id, cash, quantity, created_at, written_by
        FROM portfolios_pastreservation AS t WHERE t.portfolio_id = %(portfolio_id)s AND {_SINCE}
        ORDER BY owner_id, id
    ), stood AS (
        SELECT * FROM replaced
        UNION ALL
        SELECT owner_id, instrument_id, cash, quantity, created_at, written_by FROM portfolios_reservation AS now
        WHERE now.portfolio_id = %(portfolio_id)s
          AND NOT EXISTS (SELECT FROM replaced WHERE replaced.owner_id = now.owner_id)
    )
    SELECT owner_id, instrument_id, cash, quantity FROM stood
    WHERE {was_seen("created_at", "written_by")} ORDER BY created_at, owner_id
"""  # noqa: S608 - the texts above

_MARK = f"""
    SELECT day, day_open_equity, peak_equity FROM (
        SELECT t.id, day, day_open_equity, peak_equity, created_at FROM portfolios_pastportfoliomark AS t
        WHERE t.portfolio_id = %(portfolio_id)s AND {_SINCE}
        UNION ALL
        SELECT {2**63 - 1}, day, day_open_equity, peak_equity, created_at FROM portfolios_portfoliomark
        WHERE portfolio_id = %(portfolio_id)s
        ORDER BY 1 LIMIT 1
    ) AS stood WHERE created_at < %(moment)s
"""  # noqa: S608

_PEAKS = f"""
    SELECT position_id, opened_at, peak_price FROM (
        SELECT DISTINCT ON (position_id) * FROM (
            SELECT t.id, position_id, opened_at, peak_price, created_at FROM portfolios_pastpositionmark AS t
            WHERE t.position_id = ANY(%(positions)s) AND {_SINCE}
            UNION ALL
            SELECT {2**63 - 1}, position_id, opened_at, peak_price, created_at FROM portfolios_positionmark
            WHERE position_id = ANY(%(positions)s)
        ) AS each ORDER BY position_id, id
    ) AS stood WHERE created_at < %(moment)s
"""  # noqa: S608


def reservations_at(portfolio_id: uuid.UUID, moment: Moment) -> list[Reservation]:
    """One query."""
    rows = _selected(_RESERVATIONS, moment, portfolio_id=portfolio_id)
    return [
        new(Reservation, owner_id=owner, portfolio_id=portfolio_id, instrument_id=key, cash=cash, quantity=units)
        for owner, key, cash, units in rows
    ]  # fmt: skip


def mark_at(portfolio_id: uuid.UUID, moment: Moment) -> PortfolioMark | None:
    """None: there was none yet. One query."""
    for day, day_open, peak in _selected(_MARK, moment, portfolio_id=portfolio_id):
        return new(
            PortfolioMark, portfolio_id=portfolio_id, day=day, day_open_equity=day_open, peak_equity=peak
        )
    return None


def peaks_at(position_ids: Sequence[int], moment: Moment) -> dict[int, PositionMark]:
    """Of those of these positions that had a mark then. One query."""
    rows = _selected(_PEAKS, moment, positions=list(position_ids))
    return {
        key: new(PositionMark, position_id=key, opened_at=opened, peak_price=peak)
        for key, opened, peak in rows
    }


# As `selectors.unsettled_splits` asks it now: what is waiting for, in force or reversed is told by its times.
_UNSETTLED = f"""
    SELECT action.instrument_id
    FROM market_corporateaction AS action
    JOIN unnest(%(held)s::bigint[], %(quoted)s::float8[]) AS held (instrument_id, quoted_at)
        ON held.instrument_id = action.instrument_id
    CROSS JOIN LATERAL (
        SELECT bool_or(NOT {{booked}}) AS waits,
               bool_or(b.entry_id IS NOT NULL AND {{booked}} AND NOT {{reversed}}) AS in_force,
               array_agg(b.quantity) FILTER (WHERE b.entry_id IS NULL) AS unmoved
        FROM portfolios_corporateactionbooking AS b
        WHERE b.action_id = action.id AND b.portfolio_id = %(portfolio_id)s AND b.created_at < %(moment)s
    ) AS booking
    WHERE action.kind = 'split'
        AND action.created_at < %(moment)s AND {begins_before("%(as_of)s")}
        AND CASE WHEN coalesce(action.withdrawn_at < %(moment)s, false) THEN booking.in_force
                 WHEN booking.waits THEN true
                 WHEN booking.in_force THEN coalesce(to_timestamp(held.quoted_at) < action.ex_at, false)
                     AND %(as_of)s < action.ex_at + interval '{UNQUOTED_AT_MOST}'
                 WHEN action.ex_at > %(as_of)s THEN true ELSE (
            SELECT sum(units) > 0 AND coalesce(sum(units) <> ALL (booking.unmoved), true)
            FROM ledger_transfers AS l,
                LATERAL (SELECT CASE WHEN debit_account = 'holdings' THEN amount ELSE -amount END) AS u (units)
            WHERE l.instrument_id = action.instrument_id AND l.portfolio_id = %(portfolio_id)s
                AND l.market_at < action.ex_at AND 'holdings' IN (l.debit_account, l.credit_account)
                AND {was_seen("l.created_at", "l.written_by")}
        ) END
""".format(  # noqa: S608
    booked="coalesce(b.booked_at < %(moment)s, false)", reversed="coalesce(b.reversed_at < %(moment)s, false)"
)


def unsettled_splits_at(
    portfolio_id: uuid.UUID, moment: Moment, *, quoted: Mapping[int, float | None], as_of: datetime
) -> frozenset[tuple[uuid.UUID, int]]:
    """(portfolio, instrument) of what was held then, with a split in the prices of `as_of` (market time), or perhaps,
    that was not in the position yet. `quoted`: of each instrument held, when it was last quoted (epoch seconds of
    market time). One query."""
    quotes = {"held": list(quoted), "quoted": list(quoted.values())}
    rows = _selected(_UNSETTLED, moment, portfolio_id=portfolio_id, as_of=as_of, **quotes)
    return frozenset((portfolio_id, instrument_id) for (instrument_id,) in rows)


def _selected(sql: str, moment: Moment, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {**moment.params, **params})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
