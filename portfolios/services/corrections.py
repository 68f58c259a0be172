"""Corrections by reversal: what was booked stays, and mirrored transfers take it back as of now.

A transfer is reversed at most once (`reverses` is unique), and a reversal is never reversed: book the thing anew.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.money import ZERO
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import Event
from journal.services.journal import append
from market.models import CorporateAction
from portfolios.core.positions import after_reversal
from portfolios.models import CorporateActionBooking, LedgerTransfer
from portfolios.models.corporate_actions import IN_FORCE
from portfolios.services.books import Books, open_books
from portfolios.services.equity import note_flow
from portfolios.services.marks import rescale_peaks, shift_equity
from portfolios.services.portfolios import CASH_BOUND

Account, Kind = LedgerTransfer.Account, LedgerTransfer.Kind
REASON_LENGTH_MAX = 200


@dataclass(frozen=True)
class Reversal:
    """What a reversal did: its entry, the change of cash, and what it realised on the position, before fees."""

    entry_id: uuid.UUID
    cash: Decimal
    realised: Decimal
    instrument_id: int | None


def entry_of(portfolio_id: uuid.UUID, entry_id: uuid.UUID) -> list[LedgerTransfer]:
    """The transfers of an entry, in the order of booking. Raises NotFound."""
    rows = list(LedgerTransfer.objects.filter(portfolio_id=portfolio_id, entry_id=entry_id).order_by("id"))
    if not rows:
        raise NotFound(f"There is no entry {entry_id} in this portfolio's ledger.")
    return rows


def is_fill(transfers: Sequence[LedgerTransfer]) -> bool:
    return any(row.kind in (Kind.FILL, Kind.FEE) for row in transfers)


def checked_reason(reason: str) -> str:
    """Raises InvalidInput: who looks at the books later must find out why."""
    text = reason.strip()
    if not 0 < len(text) <= REASON_LENGTH_MAX:
        message = f"say why, in 1 to {REASON_LENGTH_MAX} characters"
        raise InvalidInput(f"reason: {message}.", errors=[{"path": "reason", "message": message}])
    return text


@transaction.atomic
def reverse_entry(
    *, portfolio_id: uuid.UUID, entry_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str
) -> uuid.UUID:
    """Take back a deposit, a withdrawal, a dividend or a split. Returns the id of the reversing entry.

    Raises NotFound; InvalidInput (no reason); Conflict where it is reversed already or the money or the units are
    not free, and for fills, whose trade must know of it: `trading.services.corrections` reverses them.
    """
    reason = checked_reason(reason)
    books = open_books([portfolio_id])
    transfers = entry_of(portfolio_id, entry_id)
    if is_fill(transfers):
        raise Conflict("This is a fill of a trade: reverse its execution.", code="reverse_the_execution")
    booking = CorporateActionBooking.objects.filter(entry_id=entry_id).select_related("action").first()
    if booking is not None and booking.action.kind == CorporateAction.Kind.SPLIT:
        _refuse_working_orders(books, booking)
    done = mirror(books, transfers, realised=booking.realised_pnl if booking else ZERO, memo=reason)
    books.save()
    if booking is not None:
        _note(booking, done, books)
    elif transfers[0].kind in (Kind.DEPOSIT, Kind.WITHDRAWAL):
        shift_equity(portfolio_id, amount=done.cash)
        note_flow(portfolio_id)
    append([reversal_event(books, transfers, done, actor=actor, reason=reason)])
    return done.entry_id


def _refuse_working_orders(books: Books, booking: CorporateActionBooking) -> None:
    reserved = books.reservations_of(booking.portfolio_id)
    if any(row.instrument_id == booking.action.instrument_id for row in reserved):
        raise Conflict(
            "An order for the instrument is working, whose size would be wrong: cancel it first.",
            code="order_working",
        )


def _note(booking: CorporateActionBooking, done: Reversal, books: Books) -> None:
    booking.reversed_at, booking.reversal_pnl = database_now(), done.realised
    booking.save(update_fields=["reversed_at", "reversal_pnl"])
    action = booking.action
    if action.kind == CorporateAction.Kind.SPLIT and action.new_units and action.old_units:
        position = books.position(booking.portfolio_id, action.instrument_id)
        rescale_peaks([position.pk], new_units=action.old_units, old_units=action.new_units)


def mirror(
    books: Books, transfers: Sequence[LedgerTransfer], *, realised: Decimal, memo: str, for_now: bool = False
) -> Reversal:
    """Mirror an entry's transfers in the open books; `realised` is what it had realised on the position.

    for_now: the like is booked anew at once, so what is promised to orders keeps nothing from it. The caller saves and
    journals. Raises Conflict; then nothing is changed in the books.
    """
    portfolio_id = transfers[0].portfolio_id
    _refuse_what_is_reversed(transfers)
    cash = -_moved(transfers, Account.CASH)
    _refuse_beyond_cash(books, portfolio_id, cash, for_now=for_now)
    instrument_id = next((row.instrument_id for row in transfers if row.instrument_id is not None), None)
    done = ZERO
    if instrument_id is not None:
        done = _mirror_position(books, transfers, instrument_id, realised, for_now=for_now)
    entry_id = uuid.uuid4()
    for row in transfers:
        more: dict[str, Any] = {
            name: getattr(row, name)
            for name in ("asset", "instrument_id", "owner_id", "execution_id", "market_at")
        }
        books.transfer(
            entry_id, portfolio_id, Kind.REVERSAL, row.credit_account, row.debit_account, row.amount,
            reverses_id=row.pk, memo=memo, **more,
        )  # fmt: skip
    books.earn(portfolio_id, _moved(transfers, Account.FEES) + _moved(transfers, Account.INCOME))
    return Reversal(entry_id=entry_id, cash=cash, realised=done, instrument_id=instrument_id)


def _moved(transfers: Sequence[LedgerTransfer], account: str, *, units: bool = False) -> Decimal:
    """What an entry added to an account: money, or units of its instrument."""
    rows = [row for row in transfers if (row.instrument_id is not None) == units]
    touched = [row for row in rows if account in (row.debit_account, row.credit_account)]
    return sum((row.amount if row.debit_account == account else -row.amount for row in touched), ZERO)


def _refuse_what_is_reversed(transfers: Sequence[LedgerTransfer]) -> None:
    if transfers[0].kind == Kind.REVERSAL:
        raise Conflict("This is a reversal itself: book anew what it took back.", code="is_a_reversal")
    if LedgerTransfer.objects.filter(reverses__in=transfers).exists():
        raise Conflict("This entry is reversed already.", code="already_reversed")


def _refuse_beyond_cash(books: Books, portfolio_id: uuid.UUID, cash: Decimal, *, for_now: bool) -> None:
    portfolio = books.portfolios[portfolio_id]
    free = portfolio.cash if for_now else portfolio.cash - portfolio.reserved_cash
    if cash < 0 and free + cash < 0:
        raise Conflict(
            f"The reversal takes {-cash} of cash, and only {free} is free: cancel working orders, sell something or "
            "deposit first.",
            code="cash_not_free",
        )
    if portfolio.cash + cash >= CASH_BOUND:
        raise Conflict("With this reversal the cash would reach 10^12, more than the books can hold.")


def _mirror_position(
    books: Books, transfers: Sequence[LedgerTransfer], instrument_id: int, realised: Decimal, *, for_now: bool
) -> Decimal:
    first = transfers[0]
    key = (first.portfolio_id, instrument_id)
    row, symbol = books.position(*key), next(t.asset for t in transfers if t.instrument_id is not None)
    quantity = _moved(transfers, Account.HOLDINGS, units=True)
    free = row.quantity if for_now else row.quantity - row.reserved_quantity
    if quantity > free:
        raise Conflict(
            f"The reversal takes {quantity.normalize():f} {symbol}, and only {free.normalize():f} is held and free: "
            "cancel working orders or reverse what was sold first.",
            code="units_not_free",
        )
    assert first.market_at is not None, "fills and corporate actions have a market time"
    _refuse_after_an_action(first, instrument_id)
    after = after_reversal(
        books.state(*key), quantity=quantity, cash=-_moved(transfers, Account.MARKET), realised=realised,
        at=first.market_at,
    )  # fmt: skip
    return books.settle(*key, after)


def _refuse_after_an_action(first: LedgerTransfer, instrument_id: int) -> None:
    """What was held before an ex time is what its action was booked for: a split changed those units themselves,
    and a dividend was paid on so many."""
    later = CorporateActionBooking.objects.filter(
        IN_FORCE, portfolio_id=first.portfolio_id, action__instrument_id=instrument_id,
        action__ex_at__gt=first.market_at,
    )  # fmt: skip
    booking = later.select_related("action__instrument").order_by("-action__ex_at", "-id").first()
    if booking is not None:
        raise Conflict(
            f"The {booking.action} was booked for what was held before it: reverse entry {booking.entry_id} first. "
            "It is booked anew for what is left then.",
            code=f"{booking.action.kind}_since",
        )


def reversal_event(
    books: Books,
    transfers: Sequence[LedgerTransfer],
    done: Reversal,
    *,
    actor: AbstractBaseUser | None,
    reason: str,
    **more: Any,
) -> Event:
    """What every event about a reversal tells."""
    first = transfers[0]
    payload: dict[str, Any] = {
        "entry_id": first.entry_id, "reversal_entry_id": done.entry_id, "kind": first.kind, "reason": reason,
        "actor": actor.get_username() if actor else "system", "amount": done.cash,
        "cash": books.portfolios[first.portfolio_id].cash, "realised_pnl": done.realised, **more,
    }  # fmt: skip
    if done.instrument_id is not None:
        position = books.position(first.portfolio_id, done.instrument_id)
        payload |= {
            "symbol": next(row.asset for row in transfers if row.instrument_id is not None),
            "quantity": position.quantity, "average_cost": position.average_cost,
        }  # fmt: skip
    return Event(first.portfolio_id, "entry.reversed", database_now(), payload)
