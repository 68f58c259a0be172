"""Closing what a stopping session has open: its pending trades, and on request its positions."""

import uuid
from datetime import datetime

import structlog
from django.db import transaction

from foundation.version import may_trade
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.services import snapshots
from portfolios.services.books import Books, open_books
from sessions.core.config import read_config
from sessions.models import TradingSession
from sessions.services.sessions import finish_stop
from trading.core.order_states import OPEN
from trading.models import AutoTrade
from trading.services.decisions import Draft, Outcome
from trading.services.facts import market_view
from trading.services.fresh_state import fresh_states
from trading.services.order_management import end_pending, pending_of
from trading.services.reducing import Reduction, sell, store

Origin = AutoTrade.Origin
log = structlog.get_logger(__name__)


def finish_stopping() -> int:
    """Bring every stopping session nearer its end; returns how many ended."""
    stopping = TradingSession.objects.filter(status=TradingSession.Status.STOPPING).order_by("start_time")
    ended = 0
    for row in stopping:
        try:
            ended += _finish_one(row.id)
        except Exception:  # one session must not keep the others from ending
            log.exception("stopping_failed", session_id=str(row.id))
    return ended


def _finish_one(session_id: uuid.UUID) -> bool:
    with transaction.atomic():
        row = TradingSession.objects.get(pk=session_id)
        books = open_books([row.portfolio_id])
        row.refresh_from_db()
        if row.status != TradingSession.Status.STOPPING:
            return False
        mine = [
            t for t in pending_of([row.portfolio_id]) if t.session_id == row.id and t.origin == Origin.RULE
        ]
        events = end_pending(mine, books=books, reason="its session stops")
        flatten = read_config(row.config).on_stop == "flatten"
        if flatten:
            events += _flatten(row, books)
        books.save()
        append(events)
        open_trades = AutoTrade.objects.filter(
            session=row, status__in=[state.value for state in OPEN]
        ).exists()
        held = flatten and any(p.quantity > 0 for p in books.positions.values())
        if open_trades or held:
            return False
        finish_stop(session_id=row.id)
    return True


def _flatten(row: TradingSession, books: Books) -> list[Event]:
    """Sell every position that is not being sold yet; a control that refuses leaves its record and is asked again."""
    snapshot = snapshots.current()
    to_sell = [p for p in books.positions.values() if p.quantity - p.reserved_quantity > 0]
    if snapshot is None or not to_sell or not may_trade():
        return []
    view = market_view(snapshot)
    state = fresh_states(books, sessions={row.portfolio_id: row}, view=view)[row.portfolio_id]
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
    alert = AlertSpec("warning", f"Stopping cannot sell {draft.symbol} yet: {draft.detail}")
    payload = {
        "session_id": draft.session_id,
        "symbol": draft.symbol,
        "code": draft.code,
        "detail": draft.detail,
    }
    return Event(draft.portfolio_id, "session.flatten_refused", at, payload, alert)
