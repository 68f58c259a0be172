"""The statements that write open books: each for any number of rows, and none where there are none.

They are sent by `portfolios.services.books` only, all in one trip.
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from foundation.arrays import array_text
from foundation.asking import Query
from portfolios.models import LedgerTransfer, Portfolio, Position

JUST_BEFORE = timedelta(microseconds=1)


class NewTransfer(NamedTuple):
    """A row of the ledger, by the names of its columns."""

    entry_id: uuid.UUID
    portfolio_id: uuid.UUID
    kind: str
    debit_account: str
    credit_account: str
    amount: Decimal
    asset: str
    instrument_id: int | None = None
    owner_id: uuid.UUID | None = None
    execution_id: str = ""
    reverses_id: int | None = None
    memo: str = ""
    market_at: datetime | None = None


_PORTFOLIOS = """
    UPDATE portfolios_portfolio AS p
    SET cash = n.cash, reserved_cash = n.reserved_cash, realised_pnl = n.realised_pnl, paid_in = n.paid_in
    FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[])
        AS n (id, cash, reserved_cash, realised_pnl, paid_in)
    WHERE p.id = n.id
"""
_POSITIONS = """
    UPDATE portfolios_position AS p
    SET quantity = n.quantity, reserved_quantity = n.reserved_quantity, cost = n.cost,
        average_cost = n.average_cost, realised_pnl = n.realised_pnl, opened_at = n.opened_at
    FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
                %s::timestamptz[])
        AS n (id, quantity, reserved_quantity, cost, average_cost, realised_pnl, opened_at)
    WHERE p.id = n.id
"""
_BEGIN_ANEW = """
    UPDATE portfolios_corporateactionsettlement AS s SET began_at = statement_timestamp(), finished_at = NULL
    FROM market_corporateaction AS a, unnest(%s::bigint[], %s::timestamptz[]) AS held (instrument_id, at)
    WHERE s.action_id = a.id AND s.finished_at IS NOT NULL
        AND a.instrument_id = held.instrument_id AND a.ex_at > held.at
"""


def save_portfolios(rows: Sequence[Portfolio]) -> list[Query]:
    names = ("id", "cash", "reserved_cash", "realised_pnl", "paid_in")
    return (
        [(_PORTFOLIOS, [array_text([getattr(row, name) for row in rows]) for name in names])] if rows else []
    )


def save_positions(rows: Sequence[Position]) -> list[Query]:
    """Of rows that are stored already."""
    names = ("id", "quantity", "reserved_quantity", "cost", "average_cost", "realised_pnl")
    columns = [array_text([getattr(row, name) for row in rows]) for name in names]
    return [(_POSITIONS, [*columns, array_text([row.opened_at for row in rows])])] if rows else []


def look_again_for_entitlements(transfers: Sequence[NewTransfer]) -> list[Query]:
    """Units that count as held at a market time before the ex time of an action whose booking has ended (a late
    fill, a reversal) may entitle to it: it begins anew, in the transaction that books them. So does an action that is
    reversed itself, whose units are of its ex time."""
    earliest: dict[int, datetime] = {}
    for row in transfers:
        if row.instrument_id is not None and row.market_at is not None:
            at = row.market_at - JUST_BEFORE if row.kind == LedgerTransfer.Kind.REVERSAL else row.market_at
            earliest[row.instrument_id] = min(earliest.get(row.instrument_id, at), at)
    return [(_BEGIN_ANEW, [array_text(earliest), array_text(earliest.values())])] if earliest else []


def delete_reservations(owner_ids: Collection[uuid.UUID]) -> list[Query]:
    delete = "DELETE FROM portfolios_reservation WHERE owner_id = ANY(%s::uuid[])"
    return [(delete, [array_text(owner_ids)])] if owner_ids else []
