"""Money that the broker moved outside of orders: fees, dividends, interest, cash paid in and out. Booked as it tells.

Each once, by the broker's id of it. What nobody can book by itself is a break of its own, by that id: a type that we do
not know, another currency, a number that is none. A broker tells of days and not of moments, and late, so it is asked
for a week more than for fills. What it has told of when the account is first looked at after it was connected is in the
cash with which the account began, and is only noted.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog

from foundation.clock import database_now
from foundation.core.money import ZERO
from foundation.errors import Conflict
from foundation.kill_points import reach
from journal.core.events import Event
from journal.services.journal import append
from portfolios.models import LedgerTransfer
from portfolios.services.broker_cash import book_broker_cash
from trading.brokers.protocol import ActivityKind, CashActivity, UnreadableActivity
from trading.core.reconciliation import Finding
from trading.models import BrokerActivity, ReconciliationBreak
from trading.services.breaks import end_gone
from trading.services.reconciling import Run

log = structlog.get_logger(__name__)
Kind = LedgerTransfer.Kind
BREAK = ReconciliationBreak.Kind.ACTIVITY
TOLD_LATE, BEFORE = timedelta(days=7), timedelta(days=30)
# What one part of a broker has written, another shows later: so long after a booking its cash may not show it.
SHOWN_WITHIN = timedelta(minutes=10)
OF_KIND = {
    ActivityKind.FEE: Kind.BROKER_FEE,
    ActivityKind.DIVIDEND: Kind.DIVIDEND,
    ActivityKind.INTEREST: Kind.INTEREST,
}
Told = CashActivity | UnreadableActivity


def book_activities(run: Run) -> None:
    """Ask for them, book what is new, and record what cannot be booked; what could not, and is by now, ends."""
    if not run.broker.capabilities.activities:
        return
    begun = run.account.activities_since
    since = max(run.since, begun) - TOLD_LATE if begun is not None else run.since - BEFORE
    told = {_id_of(one): one for one in run.ask(run.broker.cash_activities_since, since)}
    if begun is None:
        _begin(run, sorted(told))
        return
    rows = BrokerActivity.objects.filter(account_id=run.account_id, activity_id__in=told)
    known = {row.activity_id: row for row in rows}
    findings = [
        _finding(run, one, known.get(key), objection)
        for key, one in sorted(
            told.items(), key=lambda row: _takes(row[1])
        )  # what is taken may need what is paid
        if (objection := _settle(run, one, known.get(key)))
    ]
    run.record(findings)
    with run.fenced():
        end_gone(account_id=run.account_id, kinds=[BREAK], seen=run.seen)


def awaits_its_cash(account_id: uuid.UUID) -> bool:
    """Whether something was booked so lately that the broker's cash may not show it yet."""
    since = database_now() - SHOWN_WITHIN
    rows = BrokerActivity.objects.filter(account_id=account_id, entry_id__isnull=False, created_at__gte=since)
    return rows.exists()


def _id_of(one: Told) -> str:
    return one.activity_id if isinstance(one, CashActivity) else one.key


def _takes(one: Told) -> bool:
    return isinstance(one, CashActivity) and one.amount < 0


def _begin(run: Run, ids: Sequence[str]) -> None:
    """Note what was there before; from now on it is ours to book."""
    with run.fenced():
        BrokerActivity.objects.bulk_create(
            [BrokerActivity(account_id=run.account_id, activity_id=key) for key in ids], ignore_conflicts=True
        )
        run.account.activities_since = database_now()
        run.account.save(update_fields=["activities_since"])


def _settle(run: Run, one: Told, known: BrokerActivity | None) -> str:
    """Book it unless it is booked; why that cannot be, or empty."""
    if known is not None and known.entry_id is None:
        return ""
    if isinstance(one, UnreadableActivity):
        return str(one)
    if known is None:
        return "" if one.is_cancelled else _book(run, one)
    if one.is_cancelled:
        return f"it was booked and is told as cancelled: reverse entry {known.entry_id}"
    if one.amount != known.amount:
        return f"it was booked as {known.amount.normalize():f} and is told as otherwise"
    return ""


def _book(run: Run, one: CashActivity) -> str:
    """Why it cannot be booked; empty when it is."""
    if _is_of_another_currency(run, one):
        return f"it is in {one.currency}, the books are kept in {run.account.portfolio.base_currency}"
    try:
        with run.fenced():
            _book_once(run, one)
    except Conflict as error:
        return error.detail
    log.info("broker_activity_booked", account_id=str(run.account_id), activity_id=one.activity_id)
    return ""


def _book_once(run: Run, one: CashActivity) -> None:
    """Ledger, the row that says it is booked, and the event, all or nothing. Raises Conflict."""
    account = run.account
    memo = f"{one.detail}, {one.day}"
    booked = book_broker_cash(
        portfolio_id=account.portfolio_id, kind=_kind_of(one), amount=one.amount, memo=memo
    )
    BrokerActivity.objects.create(
        account=account,
        activity_id=one.activity_id,
        kind=one.kind,
        amount=one.amount,
        entry_id=booked.entry_id,
    )
    payload = {
        "account_id": account.pk, "activity_id": one.activity_id, "kind": one.kind, "entry_id": booked.entry_id,
        "amount": one.amount, "currency": account.portfolio.base_currency, "cash": booked.cash, "day": one.day,
        "symbol": one.symbol, "detail": one.detail,
    }  # fmt: skip
    append([Event(account.portfolio_id, "account.activity_booked", database_now(), payload)])
    reach("reconcile.before_commit", detail=f"activity {one.activity_id}")


def _kind_of(one: CashActivity) -> Kind:
    if one.kind == ActivityKind.TRANSFER:
        return Kind.DEPOSIT if one.amount > 0 else Kind.WITHDRAWAL
    return OF_KIND[one.kind]


def _is_of_another_currency(run: Run, one: CashActivity) -> bool:
    return one.currency not in ("", run.account.portfolio.base_currency)


def _finding(run: Run, one: Told, known: BrokerActivity | None, objection: str) -> Finding:
    """With what it has added to the cash by our books and by the broker, where that is known: see `Awaited`."""
    ours = {"amount": known.amount if known is not None else ZERO}
    if isinstance(one, UnreadableActivity):
        return Finding(BREAK, one.key, objection, ours, {"amount": one.amount, "said": one.payload})
    theirs: dict[str, Any] = {"amount": ZERO if one.is_cancelled else one.amount, "day": one.day}
    if _is_of_another_currency(run, one):
        theirs |= {"amount": None, "currency": one.currency}
    detail = f"{one.detail} of {one.amount.normalize():f} on {one.day}: {objection}"
    return Finding(BREAK, one.activity_id, detail, ours, theirs)
