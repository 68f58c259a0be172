"""The ledger replayed, portfolio by portfolio, and compared with what the tables say.

Linear in the ledger's rows; memory for one chunk of portfolios and their positions. Each chunk is read in one
snapshot of the database, so that trading may go on meanwhile.
"""

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection, transaction

from foundation.isolation import repeatable_read
from foundation.moments import Moment, was_seen
from portfolios.core.positions import PositionState
from portfolios.core.replay import Entry, Line, Replayed, replay
from portfolios.models import Portfolio, Position

CHUNK_PORTFOLIOS = 200
FETCH_ROWS = 2_000
_LEDGER = """
    SELECT l.portfolio_id, l.entry_id, coalesce(r.kind, l.kind), l.reverses_id IS NOT NULL, l.debit_account,
           l.credit_account, l.amount, l.instrument_id, l.market_at, l.execution_id,
           coalesce(e.realised_pnl, b.realised_pnl, 0), coalesce(e.reversal_pnl, b.reversal_pnl, 0)
    FROM ledger_transfers l
    LEFT JOIN ledger_transfers r ON r.id = l.reverses_id
    LEFT JOIN portfolios_brokeraccount a ON a.portfolio_id = l.portfolio_id
    LEFT JOIN trading_execution e
        ON e.account_id = a.id AND e.execution_id = l.execution_id AND l.execution_id <> ''
    LEFT JOIN portfolios_corporateactionbooking b ON b.entry_id = coalesce(r.entry_id, l.entry_id)
    WHERE l.portfolio_id = ANY(%(portfolios)s) {until} ORDER BY l.portfolio_id, l.id"""
_ALL = _LEDGER.format(until="")
_SEEN = was_seen("l.created_at", "l.written_by")
# Of each instrument that was held, the entries since nothing of it was held: before them there is nothing to know.
_OPEN = _LEDGER.format(
    until=f"""AND {_SEEN} AND l.entry_id IN (
        WITH units AS (
            SELECT l.id, l.entry_id, l.instrument_id, sum(
                CASE WHEN l.debit_account = 'holdings' THEN l.amount ELSE -l.amount END
            ) OVER (PARTITION BY l.instrument_id ORDER BY l.id) AS held
            FROM ledger_transfers AS l
            WHERE l.portfolio_id = ANY(%(portfolios)s) AND l.instrument_id IS NOT NULL AND {_SEEN}
        ), flat AS (SELECT instrument_id, max(id) AS id FROM units WHERE held = 0 GROUP BY instrument_id)
        SELECT units.entry_id FROM units LEFT JOIN flat USING (instrument_id) WHERE units.id > coalesce(flat.id, 0)
    )"""  # noqa: S608 - the texts above
)
_CASH = f"""
    SELECT coalesce(sum(CASE WHEN l.debit_account = 'cash' THEN l.amount ELSE -l.amount END), 0)
    FROM ledger_transfers AS l
    WHERE l.portfolio_id = ANY(%(portfolios)s) AND 'cash' IN (l.debit_account, l.credit_account) AND {_SEEN}
"""  # noqa: S608
Row = Sequence[Any]


@contextlib.contextmanager
def one_snapshot() -> Iterator[None]:
    """Statements within see the database at one moment, and take as long as they need."""
    is_chosen = connection.in_atomic_block
    with repeatable_read():
        if not is_chosen:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def replay_differences() -> Iterator[str]:
    """One line for each difference between the tables and the replayed ledger."""
    last = uuid.UUID(int=0)
    while True:
        with one_snapshot():
            rows = Portfolio.objects.filter(id__gt=last).order_by("id")[:CHUNK_PORTFOLIOS]
            portfolios = {row.id: row for row in rows}
            if not portfolios:
                return
            yield from _chunk_differences(portfolios)
        last = max(portfolios)


def _chunk_differences(portfolios: dict[uuid.UUID, Portfolio]) -> Iterator[str]:
    positions: dict[uuid.UUID, list[Position]] = {}
    for position in Position.objects.filter(portfolio_id__in=portfolios).select_related("instrument"):
        positions.setdefault(position.portfolio_id, []).append(position)
    without_entries = set(portfolios)
    for portfolio_id, rows in groupby(_ledger(list(portfolios)), key=itemgetter(0)):
        without_entries.discard(portfolio_id)
        yield from _compare(portfolios[portfolio_id], positions.get(portfolio_id, []), replay(_entries(rows)))
    for portfolio_id in sorted(without_entries):
        yield from _compare(portfolios[portfolio_id], positions.get(portfolio_id, []), Replayed())


@dataclass(frozen=True)
class OwnedThen:
    """Cash, and what was held: without the profits that had been realised before a position was opened."""

    cash: Decimal
    positions: dict[int, PositionState]


def owned_then(portfolio_id: uuid.UUID, moment: Moment) -> OwnedThen:
    """What the entries said that were booked and seen by then. Two queries that pass over the portfolio's ledger in
    the database; replayed is what still counts."""
    with connection.cursor() as cursor:
        cursor.execute(_CASH, {"portfolios": [portfolio_id], **moment.params})
        (cash,) = cursor.fetchone()
    told = replay(_entries(_ledger([portfolio_id], moment)))
    held = {key: state for key, state in told.positions.items() if state.quantity > 0}
    return OwnedThen(cash, held)


def _ledger(portfolio_ids: list[uuid.UUID], moment: Moment | None = None) -> Iterator[Row]:
    """In the order of booking, through a cursor of the server's: never all rows at once. With a moment only what was
    seen then, and of what was held then."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        if moment is None:
            cursor.execute(_ALL, {"portfolios": portfolio_ids})
        else:
            cursor.execute(_OPEN, {"portfolios": portfolio_ids, **moment.params})
        while rows := cursor.fetchmany(FETCH_ROWS):
            yield from rows


def _entries(rows: Iterable[Row]) -> Iterator[Entry]:
    """A portfolio's transfers are booked under its lock, so those of one entry follow each other."""
    for entry_id, group in groupby(rows, key=itemgetter(1)):
        lines, execution_id, reverses = [], "", False
        realised = reversal = Decimal(0)
        for row in group:
            (kind, reverses, debit, credit, amount, instrument_id, market_at) = row[2:9]
            execution_id, realised, reversal = row[9:12]
            lines.append(Line(kind, debit, credit, amount, instrument_id, market_at))
        name = f"execution {execution_id}" if execution_id else f"entry {entry_id}"
        yield Entry(
            name=f"reversal of {name}" if reverses else name,
            lines=lines, reverses=reverses, realised=realised, reversal=reversal,
        )  # fmt: skip


def _compare(portfolio: Portfolio, positions: Sequence[Position], told: Replayed) -> Iterator[str]:
    name = f"portfolio {portfolio.id}"
    yield from (f"{name}: {difference}" for difference in told.differences)
    if portfolio.cash != told.cash:
        yield f"{name}: cash is {portfolio.cash}, the entries say {told.cash}"
    if portfolio.realised_pnl != told.realised_pnl:
        yield f"{name}: realised profit is {portfolio.realised_pnl}, the entries say {told.realised_pnl}"
    if told.imbalance != 0:
        yield (
            f"{name}: cash {told.cash} + cost {told.cost} is not paid in {told.paid_in} + realised profit "
            f"{told.realised_pnl}: {told.imbalance} too much"
        )
    known = {position.instrument_id: position for position in positions}
    for instrument_id in sorted(known.keys() | told.positions.keys()):
        row = known.get(instrument_id)
        which = f"{name} {row.instrument.symbol if row else f'instrument {instrument_id}'}"
        yield from _compare_position(
            which, row or Position(), told.positions.get(instrument_id, PositionState())
        )


def _compare_position(which: str, row: Position, told: PositionState) -> Iterator[str]:
    for column, meaning in (
        ("quantity", "quantity"),
        ("cost", "cost"),
        ("average_cost", "average cost"),
        ("realised_pnl", "realised profit"),
        ("opened_at", "opening"),
    ):
        is_there, should_be = getattr(row, column), getattr(told, column)
        if is_there != should_be:
            yield f"{which}: {meaning} is {is_there}, the entries say {should_be}"
