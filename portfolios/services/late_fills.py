"""Fills that are told of after a split was booked, and were executed before it: they count in the old units.

The split is taken back, the fill is booked, and the split is booked anew for what was held before it then: one after
another in the caller's transaction, so that nobody sees anything in between. What is promised to orders stays: whatever
works was ordered after the split, which waits for all others.

It cannot be done where so much was sold since that the rest never was so many old units: then nothing is booked, and
people must decide.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from foundation.clock import database_now
from foundation.core.money import ZERO
from journal.core.events import Event
from market.models import CorporateAction
from portfolios.core.corporate_actions import SplitTerms, split
from portfolios.models import CorporateActionBooking
from portfolios.models.corporate_actions import IN_FORCE
from portfolios.services.books import Books
from portfolios.services.corporate_actions import Batch, book_one
from portfolios.services.corrections import entry_of, mirror, reversal_event
from portfolios.services.marks import rescale_peaks

WHY = "a fill from before the split was told of after it"


def splits_since(
    *, portfolio_id: uuid.UUID, instrument_id: int, moment: datetime
) -> list[CorporateActionBooking]:
    """Those that are booked and of which this market time is before the ex time, the oldest first."""
    rows = CorporateActionBooking.objects.filter(
        IN_FORCE, portfolio_id=portfolio_id, action__instrument_id=instrument_id, action__ex_at__gt=moment,
        action__kind=CorporateAction.Kind.SPLIT, action__withdrawn_at=None,
    )  # fmt: skip
    in_order = rows.order_by("action__ex_at", "action__created_at", "action_id")
    return list(in_order.select_related("action__instrument"))


def new_for_old(bookings: Sequence[CorporateActionBooking]) -> Fraction:
    """How many units one has become by them."""
    became = Fraction(1)
    for row in bookings:
        became *= Fraction(row.action.new_units or 1, row.action.old_units or 1)
    return became


def take_back_splits(books: Books, bookings: Sequence[CorporateActionBooking]) -> list[Event]:
    """The open books count as before these splits, until `split_anew`, which must follow in this transaction.

    Raises Conflict or Oversold where that cannot be.
    """
    return [_take_back(books, row) for row in reversed(bookings)]


def split_anew(books: Books, bookings: Sequence[CorporateActionBooking], *, added: Decimal) -> list[Event]:
    """Book what was taken back, for `added` units more that were held before the first of them. The caller saves the
    books, and journals."""
    events: list[Event] = []
    for row in bookings:
        events += _book_anew(books, row, quantity=row.quantity + added)
        was, now = _terms(row, row.quantity), _terms(row, row.quantity + added)
        added += now.added - now.fraction - was.added + was.fraction
    return events


def _take_back(books: Books, booking: CorporateActionBooking) -> Event:
    assert booking.entry_id is not None, "it is in force"
    transfers = entry_of(booking.portfolio_id, booking.entry_id)
    done = mirror(books, transfers, realised=booking.realised_pnl, memo=WHY, for_now=True)
    booking.reversed_at, booking.reversal_pnl = database_now(), done.realised
    booking.save(update_fields=["reversed_at", "reversal_pnl"])
    return reversal_event(books, transfers, done, actor=None, reason=WHY)


def _book_anew(books: Books, booking: CorporateActionBooking, *, quantity: Decimal) -> list[Event]:
    """Peaks that were noted since are of new units, and stay, unless it must wait for a price for cash in lieu."""
    action = booking.action
    batch = Batch.of_one(action, books, booking.portfolio_id, quantity=max(quantity, ZERO))
    row = CorporateActionBooking(action=action, portfolio_id=booking.portfolio_id)
    if not book_one(batch, row):
        position = books.position(booking.portfolio_id, action.instrument_id)
        rescale_peaks([position.pk], new_units=action.old_units or 1, old_units=action.new_units or 1)
    row.save()
    return batch.events


def _terms(booking: CorporateActionBooking, quantity: Decimal) -> SplitTerms:
    action = booking.action
    assert action.new_units is not None and action.old_units is not None
    return split(
        max(quantity, ZERO), new_units=action.new_units, old_units=action.old_units,
        lot=action.instrument.lot_size,
    )  # fmt: skip
