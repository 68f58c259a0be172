"""Closing what a stopping session has open: its pending trades, and on request its positions."""

import uuid
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction

from foundation.core.money import ZERO
from foundation.version import may_trade
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.services import snapshots
from portfolios.services.books import Books, open_books
from sessions.core.config import read_config
from sessions.models import TradingSession
from sessions.services.sessions import finish_stop
from trading.core.order_states import OPEN
from trading.core.risk import Refused, findings_as_rows
from trading.models import AutoTrade
from trading.services.decisions import Draft, Outcome, record
from trading.services.facts import market_view
from trading.services.fresh_state import FreshState, fresh_states
from trading.services.order_management import (
    Intent,
    end_pending,
    make_trade,
    pending_of,
    store_trades,
    trade_event,
)
from trading.services.risk_management import OrderWish, validate_trade

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
    drafts, trades = [], []
    for position in sorted(to_sell, key=lambda p: p.instrument_id):
        draft, trade = _sell_all(
            state, position.instrument_id, position.quantity - position.reserved_quantity
        )
        drafts.append(draft)
        trades += [trade] if trade is not None else []
    recorded = record(drafts, snapshot=snapshot, previous_slot=snapshot.version - 1)
    store_trades(trades)
    stuck = [draft for draft in drafts if draft.outcome != Outcome.TRADED and draft.id in recorded.rows]
    return (
        recorded.events
        + [_stuck_event(draft, snapshot.as_of) for draft in stuck]
        + [
            trade_event(trade, "trade.created", at=trade.market_at, trigger_price=trade.trigger_price)
            for trade in trades
        ]
    )


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


def _sell_all(state: FreshState, instrument_id: int, quantity: Decimal) -> tuple[Draft, AutoTrade | None]:
    instrument = state.view.instruments[instrument_id]
    price = state.price(instrument)
    session = state.session
    assert session is not None
    draft = Draft(
        portfolio_id=state.portfolio_id, session_id=session.id, rule_id=None, rule_version_id=None,
        instrument_id=instrument_id, symbol=instrument.symbol, outcome=Outcome.NO_SIZE,
        explanation={"sentence": "The session stops and was asked to flatten."}, detail="the price is unknown",
        sizing={"method": "full_position", "quantity": quantity, "price": price or ZERO},
    )  # fmt: skip
    if price is None:
        return draft, None
    wish = OrderWish("sell", quantity, instrument, price, protective=True)
    verdict = validate_trade(state, wish)
    draft.checks = list(findings_as_rows(verdict.findings))
    if isinstance(verdict, Refused):
        draft.outcome, draft.code, draft.detail = Outcome.REFUSED, verdict.code.value, verdict.detail
        return draft, None
    draft.outcome, draft.detail = (
        Outcome.TRADED,
        f"sell {quantity.normalize():f} {instrument.symbol}: flatten",
    )
    started_by = session.started_by.get_username() if session.started_by else "system"
    intent = Intent(
        decision_id=draft.id, rule_id=None, rule_version_id=None, approved=verdict, instrument=instrument,
        origin=Origin.FLATTEN, actor=f"session:{session.id} of {started_by}",
    )  # fmt: skip
    return draft, make_trade(state, intent)
