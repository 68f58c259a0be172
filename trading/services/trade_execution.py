"""Pending trades go to their broker. Here: the paper broker, in batches.

A batch claims portfolios that have pending trades (SKIP LOCKED), takes the halt key shared *before* it reads the
halts and keeps it to its commit: so a halt that is drained has seen every batch that had not seen it end.
"""

import uuid
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from foundation.errors import NotFound, Unavailable
from foundation.kill_points import reach
from foundation.version import may_trade
from journal.core.events import Event
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from portfolios.models import Portfolio
from portfolios.services.books import open_books
from sessions.models import TradingSession
from trading.brokers.paper import Unmatched, match
from trading.core.halts import HaltInForce, OrderScopes, forbids, strictest
from trading.core.order_states import OrderState
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.order_management import cancel_pending, pending_of
from trading.services.risk_management import halts_in_force

BATCH_PORTFOLIOS_MAX = 100
# Key of the advisory lock between paper batches (shared) and a draining halt (exclusive).
HALT_KEY = 0x4175746F48616C74
PAPER_PATH = (OrderState.PENDING, OrderState.SUBMITTING, OrderState.FILLED)
Status = TradingSession.Status


def execute_next_batch() -> int:
    """Execute pending paper trades of some portfolios; returns how many trades left `pending`.

    0 means that nothing is due, that all of it is claimed by others, or that the market is closed.
    """
    snapshot = snapshots.current()
    if snapshot is None or not may_trade():
        return 0
    with transaction.atomic():
        portfolio_ids = _claim()
        return _execute_in(portfolio_ids, snapshot) if portfolio_ids else 0


def execute_trade(trade_id: uuid.UUID) -> AutoTrade:
    """Execute one trade's portfolio at once, the trade among what is pending there. Returns it as it is then.

    Raises NotFound, Unavailable (no market yet, or this code may not trade).
    """
    snapshot = snapshots.current()
    if snapshot is None or not may_trade():
        raise Unavailable("There is no market yet, or this version of the code may not trade.")
    with transaction.atomic():
        portfolio_id = AutoTrade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True).first()
        if portfolio_id is None:
            raise NotFound(f"There is no trade {trade_id}.")
        _execute_in([portfolio_id], snapshot)
    return AutoTrade.objects.get(pk=trade_id)


def _execute_in(portfolio_ids: Sequence[uuid.UUID], snapshot: MarketSnapshot) -> int:
    """Book everything that is pending in these portfolios; locks them if the caller has not."""
    books = open_books(portfolio_ids)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [HALT_KEY])
    halts = halts_in_force()
    to_cancel, to_send = _gate(pending_of(portfolio_ids), halts)
    events: list[Event] = []
    for reason, group in to_cancel.items():
        events += cancel_pending(group, books=books, reason=reason)
    cancelled = len(events)
    fills = _matched(to_send, snapshot)
    events += book_fills(fills, books=books)
    books.save()
    append(events)
    if fills:
        reach("execution.before_commit")
    return cancelled + len(fills)


def _claim() -> list[uuid.UUID]:
    pending = AutoTrade.objects.filter(portfolio_id=OuterRef("pk"), status=OrderState.PENDING)
    rows = (
        Portfolio.objects.filter(Exists(pending))
        .order_by("id")
        .select_for_update(no_key=True, skip_locked=True)
        .values_list("id", flat=True)
    )
    return list(rows[:BATCH_PORTFOLIOS_MAX])


def _gate(
    trades: Sequence[AutoTrade], halts: Sequence[HaltInForce]
) -> tuple[dict[str, list[AutoTrade]], list[AutoTrade]]:
    """(trades to cancel by reason, trades that may go out). A trade that meets a halt is cancelled, not kept."""
    refused: dict[str, list[AutoTrade]] = {}
    passed: list[AutoTrade] = []
    for trade in trades:
        reason = _objection(trade, halts)
        if reason is None:
            passed.append(trade)
        else:
            refused.setdefault(reason, []).append(trade)
    return refused, passed


def _objection(trade: AutoTrade, halts: Sequence[HaltInForce]) -> str | None:
    """Why the trade may not go out any more; None when it may."""
    reduces = trade.trade_type == "sell"
    scopes = OrderScopes(
        account_id=trade.account_id, portfolio_id=trade.portfolio_id, session_id=trade.session_id,
        rule_id=trade.rule_id, symbol=trade.symbol,
    )  # fmt: skip
    halt = strictest(halts, scopes)
    if halt is not None and forbids(halt, reduces=reduces):
        return f"HALTED: {halt.mode} on {halt.scope} {halt.scope_id}: {halt.reason}"
    if trade.origin != AutoTrade.Origin.RULE:
        return None
    assert trade.session is not None and trade.rule is not None
    if not trade.rule.is_active:
        return "its rule is not active any more"
    permitted = {Status.ACTIVE, Status.PAUSED} if reduces else {Status.ACTIVE}
    if trade.session.status not in permitted:
        return f"its session is {trade.session.status}"
    return None


def _matched(trades: Sequence[AutoTrade], snapshot: MarketSnapshot) -> list[ReportedFill]:
    fills = []
    for trade in trades:
        result = match(trade, instrument=trade.instrument, snapshot=snapshot)
        if isinstance(result, Unmatched):
            continue
        fills.append(
            ReportedFill(
                trade=trade, execution_id=f"paper-{trade.id.hex}", quantity=result.quantity, price=result.price,
                fee=result.fee, market_at=snapshot.as_of, path=PAPER_PATH,
            )
        )  # fmt: skip
    return fills
