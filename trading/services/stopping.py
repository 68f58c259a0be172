"""Closing what a stopping session has open: its entries, and on request its positions.

Entries are cancelled wherever they are. An exit that works goes on working, for it only reduces, and the session ends
after it; but one that is to sell everything cancels whatever buys or waits for a price and sells at market, until
somebody says that it keeps what it holds: then what was to sell that is cancelled. Orders that people placed by hand
stay theirs: they neither end with the session nor keep it from ending.

A run looks at so many sessions and ends after so long, for its queue executes orders, too, and watches protections.
What cannot end yet is looked at again after the others: when its orders have had time to execute, and much later where
nothing can be sold, as while its market is halted.
"""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, connection, transaction
from django.db.models import Q, QuerySet

from foundation.version import may_trade
from foundation.wakeups import wake
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.services import snapshots
from portfolios.services.books import Books, open_books
from sessions.models import TradingSession
from sessions.selectors import any_stopping_due, stopping_sessions
from sessions.services.sessions import finish_later, finish_stop
from trading.core.order_states import OPEN, OrderState
from trading.core.orders import OrderType
from trading.models import AutoTrade
from trading.selectors import orders_in_the_way
from trading.services.decisions import Draft, Outcome
from trading.services.facts import market_view
from trading.services.fresh_state import fresh_states
from trading.services.history import made_way
from trading.services.order_management import request_cancels
from trading.services.reducing import Reduction, sell, store

Origin = AutoTrade.Origin
MARKET = Q(order_type=OrderType.MARKET)
FINISH_TASK, FINISH_QUEUE = "trading.tasks.finish_stopping", "execution"
COUNT_MAX = 200
RUN_SECONDS = 2.0
# When it is looked at again: with orders on their way, and when it holds what cannot be sold or its look failed.
WAITS_SECONDS, STUCK_SECONDS = 2.0, 30.0
log = structlog.get_logger(__name__)


def finish_stopping() -> int:
    """Bring stopping sessions nearer their end, those first that were due first; returns how many ended.

    Where more are due than a run looks at, a successor is woken, behind what waits in the queue.
    """
    ends_at, ended, looks = time.monotonic() + RUN_SECONDS, 0, 0
    wanted = stopping_sessions(count_max=COUNT_MAX)
    for session_id in wanted:
        if looks and time.monotonic() > ends_at:
            break
        looks += 1
        ended += _finish_isolated(session_id)
    if (looks < len(wanted) or looks == COUNT_MAX) and any_stopping_due():
        wake(FINISH_TASK, queue=FINISH_QUEUE)
    return ended


def _finish_isolated(session_id: uuid.UUID) -> bool:
    """One session must not keep the others from ending."""
    try:
        return _finish_one(session_id)
    except (SoftTimeLimitExceeded, InterfaceError):
        raise  # the worker's time is up, or the database is gone: the sweep comes again
    except Exception:
        log.exception("stopping_failed", session_id=str(session_id))
        connection.close_if_unusable_or_obsolete()
        finish_later(session_id=session_id, seconds=STUCK_SECONDS)
        return False


def _finish_one(session_id: uuid.UUID) -> bool:
    with transaction.atomic():
        row = TradingSession.objects.get(pk=session_id)
        books = open_books([row.portfolio_id])
        row.refresh_from_db()
        if row.status != TradingSession.Status.STOPPING:
            return False
        flatten = row.flattens
        cancelled = _to_cancel(row, flatten=flatten)
        events = request_cancels(cancelled, books=books, reason="its session stops")
        if flatten:
            events += _flatten(row, books, cancelled)
        books.save()
        open_trades = _open_of(row).exclude(~MARKET, origin=Origin.MANUAL).exists()
        held = flatten and any(p.quantity > 0 for p in books.positions.values())
        waits = open_trades or held
        if waits:
            finish_later(session_id=row.id, seconds=WAITS_SECONDS if open_trades else STUCK_SECONDS)
        append(events)
        if not waits:
            finish_stop(session_id=row.id)
    return not waits


def _open_of(row: TradingSession) -> QuerySet[AutoTrade]:
    return AutoTrade.objects.filter(session=row, status__in=[state.value for state in OPEN])


def _to_cancel(row: TradingSession, *, flatten: bool) -> list[AutoTrade]:
    """The session's entries, and what was not sent yet; to flatten, everything that is in the way as well, and where
    it is to keep what it holds, what was to flatten."""
    mine = _open_of(row).filter(cancel_requested_at=None).exclude(status=OrderState.CANCELLING)
    unwanted = Q(origin=Origin.RULE) & (Q(trade_type="buy") | Q(status=OrderState.PENDING))
    if not flatten:
        unwanted |= Q(origin=Origin.FLATTEN)
    ours = mine.filter(unwanted).select_related("account")
    in_the_way = orders_in_the_way([row.portfolio_id]) if flatten else []
    return list({trade.id: trade for trade in [*ours, *in_the_way]}.values())


def _flatten(row: TradingSession, books: Books, cancelled: Sequence[AutoTrade]) -> list[Event]:
    """Sell every position that is not being sold yet; a control that refuses leaves its record and is asked again."""
    snapshot = snapshots.current()
    to_sell = [p for p in books.positions.values() if p.quantity - p.reserved_quantity > 0]
    if snapshot is None or not to_sell or not may_trade():
        return []
    view = market_view(snapshot)
    state = fresh_states(books, sessions={row.portfolio_id: row}, view=view)[row.portfolio_id]
    made_way(state.history, cancelled)
    started_by = row.started_by.get_username() if row.started_by else "system"
    drafts, trades = [], []
    for position in sorted(to_sell, key=lambda p: p.instrument_id):
        reduction = Reduction(
            instrument_id=position.instrument_id, quantity=position.quantity - position.reserved_quantity,
            session_id=row.id, origin=Origin.FLATTEN, actor=f"session:{row.id} of {started_by}", why="flatten",
            explanation={"sentence": "The session stops and was asked to flatten."},
        )  # fmt: skip
        draft, trade = sell(state, reduction)
        drafts.append(draft)
        trades += [trade] if trade is not None else []
    recorded, created = store(drafts, trades, snapshot=snapshot)
    stuck = [draft for draft in drafts if draft.outcome != Outcome.TRADED and draft.id in recorded.rows]
    return recorded.events + [_stuck_event(draft, snapshot.as_of) for draft in stuck] + created


def _stuck_event(draft: Draft, at: datetime) -> Event:
    """The session cannot end while this is held: somebody must know."""
    alert = AlertSpec(
        "warning",
        f"Stopping cannot sell {draft.symbol} yet: {draft.detail}. It is tried again; to end the session with it, stop "
        "it once more and keep what is held.",
    )
    payload = {
        "session_id": draft.session_id,
        "symbol": draft.symbol,
        "code": draft.code,
        "detail": draft.detail,
    }
    return Event(draft.portfolio_id, "session.flatten_refused", at, payload, alert)
