"""The orders that an emergency stop covers: cancelling them, and whether any may still be filled."""

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q, QuerySet

from journal.services.journal import append
from portfolios.models import BrokerAccount
from portfolios.services.books import open_books
from trading.core.order_states import DOUBTFUL, IN_FLIGHT, OPEN, WORKING, OrderState
from trading.models import AutoTrade, Halt
from trading.services.order_management import request_cancels

BATCH_PORTFOLIOS_MAX = 200
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


def cancel_open_in(halt: Halt) -> None:
    """Cancel, or ask for the cancel of, everything open in its scope."""
    cancellable = orders_in(halt).filter(_CANCELLABLE).order_by("portfolio_id")
    while True:
        ids = list(cancellable.values_list("portfolio_id", flat=True).distinct()[:BATCH_PORTFOLIOS_MAX])
        if not ids:
            return
        _cancel_in(halt, ids)


@transaction.atomic
def _cancel_in(halt: Halt, portfolio_ids: Iterable[uuid.UUID]) -> None:
    books = open_books(set(portfolio_ids))
    trades = orders_in(halt).filter(_CANCELLABLE, portfolio_id__in=list(books.portfolios))
    reason = f"HALTED: {halt.mode} on {halt.scope}: {halt.reason}"
    events = request_cancels(trades, books=books, reason=reason)
    books.save()
    append(events)


def in_flight_in(halt: Halt) -> bool:
    """Whether something in its scope may be filled as far as anybody knows. A quarantined order is not waited for."""
    return orders_in(halt).filter(status__in=[state.value for state in IN_FLIGHT | WORKING]).exists()


def at_real_brokers(halt: Halt) -> bool:
    """Whether something in its scope is, or may be, at a real broker."""
    states = [state.value for state in OPEN]
    there = orders_in(halt).exclude(account__broker=BrokerAccount.Broker.PAPER)
    return there.filter(status__in=states).exists()
