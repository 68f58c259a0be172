"""The orders that an emergency stop covers: cancelling them, and whether any may still be filled.

Each portfolio's cancels succeed on their own: one whose books are locked, or cannot be written, must not keep the
orders of the others in the market. It is left for the next round, and the stop is not drained before that.
"""

import time
import uuid
from collections.abc import Collection, Sequence
from functools import partial

import structlog
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from journal.services.journal import append
from portfolios.models import BrokerAccount
from portfolios.services.books import open_books
from trading.core.order_states import DOUBTFUL, IN_FLIGHT, OPEN, WORKING, OrderState
from trading.models import AutoTrade, Halt
from trading.services.isolating import on_their_own
from trading.services.order_management import request_cancels

log = structlog.get_logger(__name__)
BATCH_PORTFOLIOS_MAX = 200
# So long it waits for the lock of a portfolio, of an order or of a journal, and for all that are locked together.
LOCK_TIMEOUT_MS, WAIT_SECONDS_MAX = 250, 5.0
NAMED_MAX = 20
# What is still to be cancelled: a wish for what is in doubt is remembered once.
_CANCELLABLE = Q(status__in=[state.value for state in WORKING | {OrderState.PENDING}]) | Q(
    status__in=[state.value for state in DOUBTFUL | {OrderState.SUBMITTING}], cancel_requested_at=None
)


def orders_in(halt: Halt) -> QuerySet[AutoTrade]:
    """The trades that the halt covers, whatever their state; in reduce_only mode the buys among them."""
    trades = AutoTrade.objects.all()
    if halt.mode == Halt.Mode.REDUCE_ONLY:
        trades = trades.filter(trade_type="buy")
    if halt.scope == Halt.Scope.PLATFORM:
        return trades
    if halt.scope == Halt.Scope.SYMBOL:
        return trades.filter(symbol=halt.scope_id)
    column = {
        "account": "account_id",
        "portfolio": "portfolio_id",
        "session": "session_id",
        "rule": "rule_id",
    }
    return trades.filter(**{column[halt.scope]: halt.scope_id})


def cancel_open_in(halt: Halt) -> bool:
    """Cancel, or ask for the cancel of, everything open in its scope; False where portfolios are left for the next
    round, which the log names."""
    cancellable = orders_in(halt).filter(_CANCELLABLE).order_by("portfolio_id")
    this, after = _Round(halt), uuid.UUID(int=0)
    while True:
        rest = cancellable.filter(portfolio_id__gt=after).values_list("portfolio_id", flat=True)
        ids = list(rest.distinct()[:BATCH_PORTFOLIOS_MAX])
        if not ids:
            break
        this.work_off(ids)
        after = ids[-1]
    this.wait_for_busy()
    return this.is_complete()


class _Round:
    """One go at the portfolios in a stop's scope. `busy`: somebody else has them locked; `failed`: by themselves."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt
        self._busy: set[uuid.UUID] = set()
        self._failed: set[uuid.UUID] = set()
        self._done = 0

    def work_off(self, portfolio_ids: Sequence[uuid.UUID]) -> None:
        """All of them together; if that fails, each by itself, so that it stops no other."""
        for portfolio_id, error in on_their_own(portfolio_ids, self._cancel).items():
            log.error("stop_cannot_cancel", portfolio_id=str(portfolio_id), exc_info=error)
            self._failed.add(portfolio_id)

    def _cancel(self, portfolio_ids: Sequence[uuid.UUID]) -> None:
        done = _cancel_in(self._halt, portfolio_ids, skip_locked=True)
        self._done += len(done)
        self._busy.update(key for key in portfolio_ids if key not in done)

    def wait_for_busy(self) -> None:
        """For each a moment: whoever is at work in a portfolio is mostly done in milliseconds."""
        ends_at = time.monotonic() + WAIT_SECONDS_MAX
        for portfolio_id in sorted(self._busy):
            if time.monotonic() > ends_at:
                return
            if not on_their_own([portfolio_id], partial(_cancel_in, self._halt, skip_locked=False)):
                self._busy.discard(portfolio_id)
                self._done += 1

    def is_complete(self) -> bool:
        """Tells who is left."""
        left = self._busy | self._failed
        if left:
            log.warning(
                "stop_cancels_left", halt_id=str(self._halt.pk), cancelled_portfolios=self._done,
                busy=len(self._busy), failed=len(self._failed),
                first=[str(key) for key in sorted(left)[:NAMED_MAX]],
            )  # fmt: skip
        return not left


@transaction.atomic
def _cancel_in(halt: Halt, portfolio_ids: Collection[uuid.UUID], *, skip_locked: bool) -> set[uuid.UUID]:
    """Returns the portfolios that it was done in; `skip_locked`: those that nobody else has locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])
    books = open_books(portfolio_ids, skip_locked=skip_locked)
    trades = orders_in(halt).filter(_CANCELLABLE, portfolio_id__in=list(books.portfolios))
    reason = f"HALTED: {halt.mode} on {halt.scope}: {halt.reason}"
    events = request_cancels(trades, books=books, reason=reason)
    books.save()
    append(events)
    return set(books.portfolios)


def in_flight_in(halt: Halt) -> bool:
    """Whether something in its scope may be filled as far as anybody knows. A quarantined order is not waited for."""
    return orders_in(halt).filter(status__in=[state.value for state in IN_FLIGHT | WORKING]).exists()


def told_left(halt: Halt) -> str:
    """Which portfolios have orders in its scope that are not cancelled yet, or may still be filled; those with the
    most first."""
    waited_for = Q(status__in=[state.value for state in IN_FLIGHT | WORKING])
    rows = orders_in(halt).filter(_CANCELLABLE | waited_for).order_by().values_list("portfolio_id")
    left = sorted(rows.annotate(count=Count("*")), key=lambda row: (-row[1], row[0]))
    if not left:
        return "no order is left"
    named = ", ".join(f"{portfolio_id} ({count})" for portfolio_id, count in left[:NAMED_MAX])
    more = ", …" if len(left) > NAMED_MAX else ""
    return f"{sum(count for _, count in left)} orders of {len(left)} portfolios are left: {named}{more}"


def at_real_brokers(halt: Halt) -> bool:
    """Whether something in its scope is, or may be, at a real broker."""
    states = [state.value for state in OPEN]
    there = orders_in(halt).exclude(account__broker=BrokerAccount.Broker.PAPER)
    return there.filter(status__in=states).exists()
