"""Booking money that a real broker moved outside of orders: what it charges and pays, and cash paid in and out."""

import uuid
from dataclasses import dataclass
from decimal import Decimal

from foundation.core.money import ZERO
from foundation.errors import Conflict
from portfolios.models import LedgerTransfer
from portfolios.services.books import open_books
from portfolios.services.equity import note_flow
from portfolios.services.marks import shift_equity
from portfolios.services.portfolios import CASH_BOUND

Account, Kind = LedgerTransfer.Account, LedgerTransfer.Kind
# The account at the other side of the cash. What is paid in or out is capital, and no profit; all else is.
OTHER_SIDE = {
    Kind.BROKER_FEE: Account.FEES,
    Kind.DIVIDEND: Account.INCOME,
    Kind.INTEREST: Account.INCOME,
    Kind.DEPOSIT: Account.CAPITAL,
    Kind.WITHDRAWAL: Account.CAPITAL,
}


@dataclass(frozen=True)
class BookedCash:
    """The entry in the ledger, and the cash that there is then."""

    entry_id: uuid.UUID
    cash: Decimal


def book_broker_cash(
    *, portfolio_id: uuid.UUID, kind: LedgerTransfer.Kind, amount: Decimal, memo: str
) -> BookedCash:
    """One entry; `amount` is what it adds to the cash, below zero for what was taken: a fee may be given back, and a
    tax be withheld of a dividend.

    In the caller's transaction, which locks the portfolio here, sees to it that it happens once, and journals. What
    is promised to working orders is no obstacle, for the broker has taken the money already. Below zero the books go by
    fills alone; once they are, what the broker pays and takes besides brings them nearer to its own. Raises Conflict
    where the books cannot hold what is left.
    """
    assert amount != ZERO
    books = open_books([portfolio_id])
    portfolio = books.portfolios[portfolio_id]
    left = portfolio.cash + amount
    if left < 0 <= portfolio.cash or abs(left) >= CASH_BOUND:
        raise Conflict(f"with it the cash would be {left:f}, which the books cannot hold")
    entry_id, other = uuid.uuid4(), OTHER_SIDE[kind]
    accounts = (Account.CASH, other) if amount > 0 else (other, Account.CASH)
    books.transfer(entry_id, portfolio_id, kind, *accounts, abs(amount), memo=memo)
    if other != Account.CAPITAL:
        books.earn(portfolio_id, amount)
    books.save()
    if other == Account.CAPITAL:
        shift_equity(portfolio_id, amount=amount)
        note_flow(portfolio_id)
    return BookedCash(entry_id, portfolio.cash)
