"""Taking back a booked fill: the ledger is mirrored, and execution, trade and session know of it.

The order was filled at the broker and stays filled; that its fill does not count any more is bookkeeping. So the
trade keeps its status and its filled quantity, and the session its number of trades; what they earned changes.
"""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, NotFound
from journal.services.journal import append
from portfolios.models import LedgerTransfer
from portfolios.services.books import open_books
from portfolios.services.corrections import (
    Reversal,
    checked_reason,
    entry_of,
    is_fill,
    mirror,
    reversal_event,
    reverse_entry,
)
from trading.core.order_states import FINAL, OrderState
from trading.models import AutoTrade, Execution
from trading.services.bookkeeping import Totals, is_successful, store_totals


def reverse_ledger_entry(
    *, portfolio_id: uuid.UUID, entry_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str
) -> uuid.UUID:
    """Reverse any entry of a portfolio's ledger; returns the id of the reversing entry.

    Raises NotFound, InvalidInput (no reason), Conflict (with a cure).
    """
    if is_fill(entry_of(portfolio_id, entry_id)):
        return reverse_execution(portfolio_id=portfolio_id, entry_id=entry_id, actor=actor, reason=reason)
    return reverse_entry(portfolio_id=portfolio_id, entry_id=entry_id, actor=actor, reason=reason)


@transaction.atomic
def reverse_execution(
    *, portfolio_id: uuid.UUID, entry_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str
) -> uuid.UUID:
    """Take back the fill that this entry booked, with its fee, as of now.

    A sell's units come back at the cost that it took, and its profit is taken back; a buy's units leave with what
    was paid for them. Where they are the last ones, what the cost does not match is realised. Raises NotFound,
    InvalidInput (no reason), Conflict (the trade still works, the units or the cash are not free, …).
    """
    reason = checked_reason(reason)
    books = open_books([portfolio_id])
    transfers = entry_of(portfolio_id, entry_id)
    execution = _execution_of(portfolio_id, transfers)
    trade = execution.trade
    if OrderState(trade.status) not in FINAL:
        raise Conflict(
            f"The trade is {trade.status}: wait until it has ended, or cancel it first.", code="trade_working"
        )
    done = mirror(books, transfers, realised=execution.realised_pnl, memo=reason)
    books.save()
    _note(execution, done)
    told = {"execution_id": execution.execution_id, "trade_id": trade.pk, "trade_type": trade.trade_type}
    append([reversal_event(books, transfers, done, actor=actor, reason=reason, **told)])
    return done.entry_id


def _execution_of(portfolio_id: uuid.UUID, transfers: list[LedgerTransfer]) -> Execution:
    rows = Execution.objects.select_related("trade").filter(
        account__portfolio_id=portfolio_id, execution_id=transfers[0].execution_id
    )
    execution = rows.first() if is_fill(transfers) else None
    if execution is None:
        raise NotFound("This entry is no fill of a trade.")
    return execution


def _note(execution: Execution, done: Reversal) -> None:
    """Execution, trade and session; the portfolio is locked."""
    execution.reversed_at, execution.reversal_pnl = database_now(), done.realised
    execution.save(update_fields=["reversed_at", "reversal_pnl"])
    trade = execution.trade
    was_successful = is_successful(trade)
    trade.realised_pnl += done.realised
    trade.fees -= execution.fee
    AutoTrade.objects.filter(pk=trade.pk).update(realised_pnl=trade.realised_pnl, fees=trade.fees)
    if trade.session_id is not None:
        successful = int(is_successful(trade)) - int(was_successful)
        totals = Totals(trades=0, successful=successful, pnl=done.realised + execution.fee)
        store_totals({trade.session_id: totals})
