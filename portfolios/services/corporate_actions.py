"""Booking corporate actions: once for each portfolio that held the instrument just before the ex time.

The ex time is market time, and who held how much is read from the ledger, so that it does not matter when an
action is booked: a buy at the new price is not split, a sell after the ex time keeps its dividend. Nothing is
booked before market time has reached the ex time. A dividend is paid at its ex time. At a real broker it is not ours
to pay: what that pays, and when, is booked as it tells (`services.broker_cash`), and here that it is nothing.

    begin    an action whose ex time is reached gets its settlement
    enrol    each entitled portfolio gets a row that waits; sweeps look again for a while, for fills on their way
    book     under the portfolio's lock the row becomes booked, with one entry in the ledger; actions of an
             instrument in the order of their ex times, so that each counts in the units of its day
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from foundation.clock import database_now
from foundation.errors import Conflict, NotFound
from foundation.kill_points import reach
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.models import CorporateAction
from market.selectors import market_now
from portfolios.core.corporate_actions import dividend, in_cents, split
from portfolios.core.positions import after_sell, after_split
from portfolios.models import (
    BrokerAccount,
    CorporateActionBooking,
    CorporateActionSettlement,
    LedgerTransfer,
    Position,
)
from portfolios.models.corporate_actions import IN_FORCE, WAITS
from portfolios.selectors import held_before
from portfolios.services.books import Books, open_books
from portfolios.services.marks import rescale_peaks
from portfolios.services.portfolios import CASH_BOUND

log = structlog.get_logger(__name__)
Account, Kind = LedgerTransfer.Account, LedgerTransfer.Kind
BATCH_PORTFOLIOS_MAX = 100
# For so long after it began (database time) an action looks for fills that were on their way.
LATE_FILLS = timedelta(hours=1)
FAILED = "its booking failed: see the log"


@dataclass(frozen=True)
class Applied:
    """What a call has booked, and how many portfolios still wait; `reached`: market time is at the ex time."""

    booked: int
    waiting: int
    reached: bool = True


def apply_corporate_action(action_id: uuid.UUID) -> Applied:
    """Book an action for everybody who is entitled and does not have it yet. Resumable: call it as often as you like.

    Also for who became entitled when nobody looked any more. Earlier actions of the same instrument are booked
    first. Raises NotFound, Conflict (it is withdrawn).
    """
    action = CorporateAction.objects.filter(pk=action_id).first()
    if action is None:
        raise NotFound(f"There is no corporate action {action_id}.")
    if action.withdrawn_at is not None:
        raise Conflict("This corporate action is withdrawn: it is booked for nobody.")
    due = _due(Q(instrument_id=action.instrument_id, ex_at__lte=action.ex_at))
    _begin_and_enrol(due)
    booked = {each.pk: _book(each) for each in due}
    now = market_now()
    return Applied(
        booked=booked.get(action_id, 0),
        waiting=action.bookings.filter(booked_at=None).count(),
        reached=now is not None and action.ex_at <= now,
    )


def book_due_actions() -> int:
    """Everything whose ex time is reached, as far as it can be booked now; returns how many bookings were made."""
    due = _due(Q(settlement__finished_at=None))
    _begin_and_enrol(due)
    booked = sum(_book(action) for action in due)
    CorporateActionBooking.objects.filter(WAITS, action__withdrawn_at__isnull=False).delete()
    _finish()
    return booked


def _due(wanted: Q) -> list[CorporateAction]:
    now = market_now()
    if now is None:
        return []
    rows = CorporateAction.objects.filter(wanted, ex_at__lte=now, withdrawn_at=None)
    return list(rows.select_related("instrument").order_by("ex_at", "created_at", "id"))


@transaction.atomic
def _begin_and_enrol(due: Sequence[CorporateAction]) -> None:
    """Together or not at all. What begins looks for so long for fills on their way, and so does what finds one."""
    CorporateActionSettlement.objects.bulk_create(
        [CorporateActionSettlement(action=action) for action in due], ignore_conflicts=True
    )
    reach("corporate_actions.begun")
    found = []
    for action in due:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO portfolios_corporateactionbooking
                    (action_id, portfolio_id, quantity, realised_pnl, reversal_pnl, waiting_for)
                SELECT %s, l.portfolio_id, 0, 0, 0, ''
                FROM ledger_transfers l
                WHERE l.instrument_id = %s AND l.market_at < %s
                    AND 'holdings' IN (l.debit_account, l.credit_account)
                GROUP BY l.portfolio_id
                HAVING sum(CASE WHEN l.debit_account = 'holdings' THEN l.amount ELSE -l.amount END) > 0
                    AND NOT EXISTS (
                        SELECT FROM portfolios_corporateactionbooking b
                        WHERE b.action_id = %s AND b.portfolio_id = l.portfolio_id AND (
                            b.booked_at IS NULL OR b.entry_id IS NOT NULL AND b.reversed_at IS NULL
                            OR b.quantity = sum(CASE WHEN l.debit_account = 'holdings' THEN l.amount ELSE -l.amount END)
                        ))
                ORDER BY l.portfolio_id
                ON CONFLICT DO NOTHING
                """,
                [action.pk, action.instrument_id, action.ex_at, action.pk],
            )
            if cursor.rowcount:
                found.append(action.pk)
    CorporateActionSettlement.objects.filter(action__in=found).update(began_at=Now(), finished_at=None)


def _finish() -> None:
    """What is done for everybody; but a split is looked at until its instrument is quoted in new units, and as long as
    somebody holds old ones, for whom it is reversed (`selectors.unsettled_splits`)."""
    waiting = CorporateActionBooking.objects.filter(action_id=OuterRef("action_id"), booked_at=None)
    now = database_now()
    running = CorporateActionSettlement.objects.filter(finished_at=None, began_at__lt=now - LATE_FILLS)
    splits = CorporateActionSettlement.objects.filter(
        action__kind=CorporateAction.Kind.SPLIT, action__withdrawn_at=None
    )
    unpriced = splits.filter(action__instrument__quote__market_time__lt=F("action__ex_at"))
    in_old_units = splits.filter(Exists(_reversed_for_holders()))
    done = running.filter(~Exists(waiting)).exclude(pk__in=unpriced).exclude(pk__in=in_old_units)
    done.update(finished_at=now)


def _reversed_for_holders() -> QuerySet[CorporateActionBooking]:
    """Of the action of the settlement around it: reversed, not booked anew, and something is held."""
    mine = {"portfolio_id": OuterRef("portfolio_id")}
    anew = CorporateActionBooking.objects.filter(IN_FORCE, action_id=OuterRef("action_id"), **mine)
    held = Position.objects.filter(quantity__gt=0, instrument_id=OuterRef("action__instrument_id"), **mine)
    rows = CorporateActionBooking.objects.filter(action_id=OuterRef("action_id"), reversed_at__isnull=False)
    return rows.filter(~Exists(anew), Exists(held))


def _book(action: CorporateAction) -> int:
    """Visit every portfolio that waits once, in id order."""
    booked, last = 0, uuid.UUID(int=0)
    while True:
        waiting = action.bookings.filter(booked_at=None, portfolio_id__gt=last).order_by("portfolio_id")
        portfolio_ids = list(waiting.values_list("portfolio_id", flat=True)[:BATCH_PORTFOLIOS_MAX])
        if not portfolio_ids:
            return booked
        booked += _book_isolated(action, portfolio_ids)
        last = portfolio_ids[-1]


def _book_isolated(action: CorporateAction, portfolio_ids: Sequence[uuid.UUID]) -> int:
    """Book together; if that fails for a portfolio's own reason, one by one, so that it stops no other."""
    try:
        return _book_batch(action, portfolio_ids)
    except (OperationalError, InterfaceError) as error:
        log.info(
            "corporate_action_postponed", action=str(action), error=repr(error)
        )  # busy: the sweep comes again
        return 0
    except (DatabaseError, ArithmeticError, ValueError):
        log.exception("corporate_action_failed", action=str(action), first=str(portfolio_ids[0]))
        if len(portfolio_ids) == 1:
            _note_failure(action, portfolio_ids[0])
            return 0
    return sum(_book_isolated(action, [portfolio_id]) for portfolio_id in portfolio_ids)


@transaction.atomic
def _note_failure(action: CorporateAction, portfolio_id: uuid.UUID) -> None:
    open_books([portfolio_id])
    row = action.bookings.filter(portfolio_id=portfolio_id, booked_at=None).first()
    if row is None:  # another worker has booked it since
        return
    events = _keep_waiting(row, action, Waits(FAILED, alert=True))
    row.save(update_fields=["waiting_for"])
    append(events)


@dataclass(frozen=True)
class Waits:
    """Why a portfolio's booking waits; `alert`: somebody must do something about it."""

    reason: str
    alert: bool = False


@dataclass
class Batch:
    """One action for some portfolios, whose books are open."""

    action: CorporateAction
    books: Books
    quantities: dict[uuid.UUID, Decimal]
    after_others: set[uuid.UUID]
    at_brokers: set[uuid.UUID]
    wrong: dict[uuid.UUID, uuid.UUID | None]  # portfolio -> the entry of an action that was withdrawn since
    now: datetime
    beside_orders: bool = False  # those that work count in new units already
    events: list[Event] = field(default_factory=list)
    split_positions: list[int] = field(default_factory=list)

    @classmethod
    def of_one(
        cls, action: CorporateAction, books: Books, portfolio_id: uuid.UUID, *, quantity: Decimal
    ) -> "Batch":
        """For one portfolio that was entitled by another quantity before."""
        return cls(
            action, books, {portfolio_id: quantity}, set(), set(), {}, database_now(), beside_orders=True
        )


@transaction.atomic
def _book_batch(action: CorporateAction, portfolio_ids: Sequence[uuid.UUID]) -> int:
    books = open_books(portfolio_ids)
    now_told = CorporateAction.objects.select_for_update(no_key=True).get(pk=action.pk)
    if now_told.withdrawn_at is not None:
        return 0
    action.cash_in_lieu_price = now_told.cash_in_lieu_price
    rows = list(
        action.bookings.filter(portfolio_id__in=portfolio_ids, booked_at=None).order_by("portfolio_id")
    )
    held = held_before(
        instrument_id=action.instrument_id,
        moment=action.ex_at,
        portfolio_ids=[row.portfolio_id for row in rows],
    )
    others = CorporateActionBooking.objects.filter(
        action__instrument_id=action.instrument_id, portfolio_id__in=portfolio_ids
    )
    earlier = others.filter(WAITS, action__ex_at__lt=action.ex_at, action__withdrawn_at=None)
    wrong = others.filter(IN_FORCE, action__withdrawn_at__isnull=False)
    real = BrokerAccount.objects.filter(portfolio_id__in=portfolio_ids).exclude(
        broker=BrokerAccount.Broker.PAPER
    )
    batch = Batch(
        action, books, held, set(earlier.values_list("portfolio_id", flat=True)),
        set(real.values_list("portfolio_id", flat=True)), dict(wrong.values_list("portfolio_id", "entry_id")),
        database_now(),
    )  # fmt: skip
    booked = sum(book_one(batch, row) for row in rows)
    books.save()
    rescale_peaks(batch.split_positions, new_units=action.new_units or 1, old_units=action.old_units or 1)
    CorporateActionBooking.objects.bulk_update(
        rows, ["quantity", "realised_pnl", "entry_id", "paid_by_broker", "waiting_for", "booked_at"]
    )
    append(batch.events)
    return booked


def book_one(batch: Batch, row: CorporateActionBooking) -> bool:
    """Whether the row is booked now; otherwise it waits."""
    row.quantity = batch.quantities.get(row.portfolio_id, Decimal(0))
    waits: Waits | None = None
    if row.portfolio_id in batch.after_others:
        waits = Waits("an earlier corporate action of the instrument waits")
    elif row.portfolio_id in batch.wrong:
        entry_id = batch.wrong[row.portfolio_id]
        waits = Waits(
            f"entry {entry_id} was booked for an action that was withdrawn: reverse it first", alert=True
        )
    elif row.quantity > 0:  # else what it was entitled by has been reversed since
        of_kind = _book_split if batch.action.kind == CorporateAction.Kind.SPLIT else _book_dividend
        waits = of_kind(batch, row)
    if waits is not None:
        batch.events += _keep_waiting(row, batch.action, waits)
        return False
    row.booked_at, row.waiting_for = batch.now, ""
    return True


def _keep_waiting(row: CorporateActionBooking, action: CorporateAction, waits: Waits) -> list[Event]:
    """Told once for each reason that somebody must do something about."""
    told = row.waiting_for == waits.reason
    row.waiting_for = waits.reason
    if told or not waits.alert:
        return []
    payload = {"corporate_action_id": action.pk, "symbol": action.instrument.symbol, "reason": waits.reason}
    alert = AlertSpec("warning", f"The {action} waits: {waits.reason}.")
    return [Event(row.portfolio_id, "corporate_action.waiting", database_now(), payload, alert)]


def _book_dividend(batch: Batch, row: CorporateActionBooking) -> Waits | None:
    """Cash against income. It is realised profit of the portfolio, not of the position."""
    action, portfolio = batch.action, batch.books.portfolios[row.portfolio_id]
    assert action.amount is not None
    row.paid_by_broker = row.portfolio_id in batch.at_brokers
    if row.paid_by_broker:
        return None
    cash = dividend(row.quantity, amount=action.amount)
    if portfolio.cash + cash >= CASH_BOUND:
        return Waits("with it the cash would reach 10^12, more than the books can hold", alert=True)
    if cash > 0:
        row.entry_id = uuid.uuid4()
        batch.books.transfer(
            row.entry_id, portfolio.id, Kind.DIVIDEND, Account.CASH, Account.INCOME, cash, market_at=action.ex_at,
            memo=f"{action.amount.normalize():f} on {row.quantity.normalize():f} {action.instrument.symbol}",
        )  # fmt: skip
        batch.books.earn(portfolio.id, cash)
    batch.events.append(
        _event(batch, row, "dividend.booked", amount_per_unit=action.amount, amount=cash, cash=portfolio.cash)
    )
    return None


def _book_split(batch: Batch, row: CorporateActionBooking) -> Waits | None:
    """Units against the market without a price; what is less than the lot is sold at the price for cash in lieu."""
    action, books, instrument = batch.action, batch.books, batch.action.instrument
    key = (row.portfolio_id, action.instrument_id)
    reserved = books.reservations_of(row.portfolio_id)
    if not batch.beside_orders and any(each.instrument_id == action.instrument_id for each in reserved):
        return Waits("an order for the instrument is working, whose size would be wrong")
    assert action.new_units is not None and action.old_units is not None
    terms = split(
        row.quantity, new_units=action.new_units, old_units=action.old_units, lot=instrument.lot_size
    )
    price, state = action.cash_in_lieu_price, books.state(*key)
    if terms.fraction > 0 and price is None:
        left = f"{terms.fraction.normalize():f}"
        return Waits(
            f"a fraction of {left} is left and there is no cash_in_lieu_price: record the action again with it",
            alert=True,
        )
    if state.quantity + terms.added < terms.fraction:
        return Waits(
            "more was sold after the ex time than the split leaves: reverse what was sold", alert=True
        )
    entry_id = uuid.uuid4()
    if terms.added != 0 or terms.fraction > 0:  # else too few are held to be split
        row.entry_id = entry_id
    units: dict[str, Any] = {
        "asset": instrument.symbol,
        "instrument_id": instrument.pk,
        "market_at": action.ex_at,
    }
    memo = f"{action.new_units}:{action.old_units}"
    accounts = (Account.HOLDINGS, Account.MARKET) if terms.added > 0 else (Account.MARKET, Account.HOLDINGS)
    books.transfer(entry_id, key[0], Kind.SPLIT, *accounts, abs(terms.added), memo=memo, **units)
    after, cash = after_split(state, added=terms.added, at=action.ex_at), Decimal(0)
    if terms.fraction > 0 and price is not None:
        cash = in_cents(terms.fraction * price)
        after = after_sell(after, quantity=terms.fraction, amount=cash)
        args = (entry_id, key[0], Kind.CASH_IN_LIEU)
        books.transfer(*args, Account.MARKET, Account.HOLDINGS, terms.fraction, memo=memo, **units)
        books.transfer(*args, Account.CASH, Account.MARKET, cash, memo=memo, market_at=action.ex_at)
    row.realised_pnl = books.settle(*key, after)
    batch.split_positions.append(books.position(*key).pk)
    batch.events.append(
        _event(
            batch, row, "position.split", new_units=action.new_units, old_units=action.old_units,
            quantity_before=state.quantity, quantity=after.quantity, average_cost=after.average_cost,
            cash_in_lieu=cash, realised_pnl=row.realised_pnl, cash=books.portfolios[key[0]].cash,
        )
    )  # fmt: skip
    return None


def _event(batch: Batch, row: CorporateActionBooking, kind: str, **more: Any) -> Event:
    payload = {
        "corporate_action_id": batch.action.pk, "external_id": batch.action.external_id, "entry_id": row.entry_id,
        "symbol": batch.action.instrument.symbol, "entitled": row.quantity, **more,
    }  # fmt: skip
    return Event(row.portfolio_id, kind, batch.action.ex_at, payload)
