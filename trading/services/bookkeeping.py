"""Fills become books: execution, ledger, position and its protection, reservation, trade, session totals, all in
one transaction.

A fill is unique by the broker's execution id; told twice, it is booked once.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from foundation.arrays import array_text
from foundation.copying import copy_values
from foundation.core.money import ZERO, round_money
from foundation.core.quick import quick_init
from foundation.loading import selected
from journal.core.events import Event
from portfolios.services.books import Books, Fill
from trading.core.order_states import OrderState
from trading.models import AutoTrade, Execution
from trading.services.order_management import move, trade_event
from trading.services.protections import FilledProtections


@quick_init
@dataclass(frozen=True)
class ReportedFill:
    """What a broker says was executed of a trade. price in currency per unit, fee in currency. keeps: cash that stays
    reserved for the rest of a buy; None: its share."""

    trade: AutoTrade
    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    market_at: datetime
    path: tuple[str, ...]
    keeps: Decimal | None = None


class NewExecution(NamedTuple):
    """A row of the executions, by the names of its columns."""

    account_id: uuid.UUID
    execution_id: str
    trade_id: uuid.UUID
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised_pnl: Decimal
    market_at: datetime
    reversal_pnl: Decimal = ZERO


def book_fills(fills: Sequence[ReportedFill], *, books: Books) -> list[Event]:
    """Book fills of trades whose portfolios are open in `books`; the caller saves the books and journals.

    Each `path` leads from the trade's present state to `filled` or `partially_filled`, as the quantity says; a
    further partial fill stays where it is, `("partially_filled",)`. The present state may be a final one: a fill that
    was faster than a cancel, or that turns up after the order was given up, is booked like any other.
    """
    known = _known(fills)
    executions: list[NewExecution] = []
    events: list[Event] = []
    by_path: dict[tuple[str, ...], list[AutoTrade]] = {}
    totals: dict[uuid.UUID, Totals] = {}
    protections = FilledProtections()
    for fill in fills:
        if (fill.trade.account_id, fill.execution_id) in known:
            continue
        known.add((fill.trade.account_id, fill.execution_id))
        _raise_totals(totals, fill, realised := _book_one(fill, books))
        executions.append(
            NewExecution(
                fill.trade.account_id, fill.execution_id, fill.trade.id, fill.quantity, fill.price, fill.fee, realised,
                fill.market_at,
            )
        )  # fmt: skip
        by_path.setdefault(fill.path, []).append(fill.trade)
        position = books.position(fill.trade.portfolio_id, fill.trade.instrument_id)
        protections.note(fill.trade, quantity=fill.quantity, at=fill.market_at, position=position)
        events += _events_of(fill, realised, books)
    for path, trades in by_path.items():
        moved = move(trades, *path)
        assert len(moved) == len(trades), "the portfolio is locked"
    copy_values(Execution, NewExecution._fields, executions)
    store_totals(totals)
    return events + protections.store()


def _known(fills: Sequence[ReportedFill]) -> set[tuple[uuid.UUID, str]]:
    """Those that are booked already, by account and execution id."""
    if not fills:
        return set()
    accounts = array_text({fill.trade.account_id for fill in fills})
    rows = selected(
        "SELECT account_id, execution_id FROM trading_execution"
        " WHERE account_id = ANY(%s::uuid[]) AND execution_id = ANY(%s::text[])",
        [accounts, array_text([fill.execution_id for fill in fills])],
    )
    return {(account_id, execution_id) for account_id, execution_id in rows}


def _book_one(fill: ReportedFill, books: Books) -> Decimal:
    """Ledger, position and reservation of one fill, and the trade's progress. Returns the realised profit."""
    trade = fill.trade
    realised = books.book_fill(
        Fill(
            portfolio_id=trade.portfolio_id, instrument_id=trade.instrument_id, symbol=trade.symbol,
            side=trade.trade_type, quantity=fill.quantity, price=fill.price, fee=fill.fee, owner_id=trade.id,
            execution_id=fill.execution_id, market_at=fill.market_at,
        )
    )  # fmt: skip
    before, total = trade.filled_quantity, trade.filled_quantity + fill.quantity
    paid = (trade.executed_price or ZERO) * before + fill.price * fill.quantity
    rest = trade.quantity - total
    if rest and trade.trade_type == "sell":
        books.release_sold(trade.id, units=fill.quantity, rest=rest)
    else:
        books.release(trade.id, keep=rest / (trade.quantity - before), cash=fill.keeps)
    trade.filled_quantity, trade.executed_price = total, round_money(paid / total)
    trade.fees += fill.fee
    trade.realised_pnl += realised
    trade.executed_at = fill.market_at
    assert (total == trade.quantity) == (fill.path[-1] == OrderState.FILLED)
    return realised


def _events_of(fill: ReportedFill, realised: Decimal, books: Books) -> list[Event]:
    trade = fill.trade
    trade_status = fill.path[-1]
    position = books.position(trade.portfolio_id, trade.instrument_id)
    told = trade_event(
        trade, f"trade.{trade_status}", at=fill.market_at, execution_id=fill.execution_id, fill_quantity=fill.quantity,
        fill_price=fill.price, fee=fill.fee, filled_quantity=trade.filled_quantity,
        executed_price=trade.executed_price, realised_pnl=realised if trade.trade_type == "sell" else None,
    )  # fmt: skip
    told.payload["status"] = trade_status
    changed = {
        "symbol": trade.symbol, "quantity": position.quantity, "cost": position.cost,
        "average_cost": position.average_cost, "realised_pnl": position.realised_pnl,
        "cash": books.portfolios[trade.portfolio_id].cash,
    }  # fmt: skip
    return [
        told,
        Event(stream=trade.portfolio_id, kind="position.changed", at=fill.market_at, payload=changed),
    ]


@dataclass
class Totals:
    """What fills add to a session's totals."""

    trades: int = 0
    successful: int = 0
    pnl: Decimal = ZERO


def _raise_totals(totals: dict[uuid.UUID, Totals], fill: ReportedFill, realised: Decimal) -> None:
    """A trade counts with its first fill, and as successful as long as it is a sell with a profit after fees."""
    trade = fill.trade
    if trade.session_id is None:
        return
    total = totals.setdefault(trade.session_id, Totals())
    total.trades += trade.filled_quantity == fill.quantity
    was_successful = trade.trade_type == "sell" and trade.realised_pnl - realised > trade.fees - fill.fee
    total.successful += is_successful(trade) - was_successful
    total.pnl += realised - fill.fee


def is_successful(trade: AutoTrade) -> bool:
    """A sell with a profit after fees, so far: its last fill need not come."""
    return trade.trade_type == "sell" and trade.realised_pnl > trade.fees


def store_totals(totals: dict[uuid.UUID, Totals]) -> None:
    """Add to the totals of sessions; their portfolios are locked."""
    if not totals:
        return
    ids = sorted(totals)
    columns = [[getattr(totals[key], name) for key in ids] for name in ("trades", "successful", "pnl")]
    selected(
        """
            UPDATE trading_sessions AS s SET total_trades = s.total_trades + n.trades,
                successful_trades = s.successful_trades + n.successful, total_pnl = s.total_pnl + n.pnl
            FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::numeric[]) AS n (id, trades, successful, pnl)
            WHERE s.id = n.id
            """,
        [array_text(ids), *map(array_text, columns)],
    )
