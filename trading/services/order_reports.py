"""What a broker tells of an order of ours, applied: checked, settled by the table, booked, all in one transaction.

`trading.core.order_reports` decides; here is what it means for the books. Told twice, late or out of order, a report
changes what it must and no more.

Errors (of `trading.brokers.protocol`)
    ForeignOrder   no trade of ours has this client order id
    BadReport      it cannot be true of this trade; nothing was written
    StaleClaim     whoever asked has lost the trade to somebody else meanwhile; nothing was written
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from foundation.clock import database_now
from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO, round_money
from foundation.wakeups import wake_on_commit
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from market.services.feed_delay import feed_delay
from portfolios.models import CorporateActionBooking
from portfolios.services.books import Books, open_books
from portfolios.services.late_fills import new_for_old, split_anew, splits_since, take_back_splits
from trading.brokers.protocol import BadReport, BrokerError, BrokerExecution, BrokerOrder
from trading.core.order_reports import NOT_KNOWN_THERE, Ours, Settlement, Told, settle
from trading.core.order_states import DOUBTFUL, FINAL, OrderState
from trading.core.paper import BPS
from trading.models import AutoTrade, BrokerMessage, OrderMessage
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.breakers import trip_on_streaks
from trading.services.broker_messages import note_message
from trading.services.cooldowns import note_act_again
from trading.services.ended_orders import told_if_unasked
from trading.services.expiry import is_live
from trading.services.fresh_state import RESERVE_CUSHION_BPS
from trading.services.order_management import SEND_QUEUE, SEND_TASK, end_open, move, trade_event
from trading.services.order_messages import count_messages
from trading.services.protections import note_first_prices
from trading.services.report_checks import as_told, check_order, new_fill, nothing_unforeseen, sellable

log = structlog.get_logger(__name__)


class ForeignOrder(BrokerError):
    """No trade of ours has this client order id. `payload` is what was told of it."""

    def __init__(self, reason: str, *, payload: Any = None) -> None:
        super().__init__(reason)
        self.payload = payload


class StaleClaim(BrokerError):
    """Somebody else has claimed the trade since; what is known of it by now is newer."""


def misses_fills(trade: AutoTrade, order: BrokerOrder) -> bool:
    """Whether the broker counts more as filled than is booked: its executions must be asked for, and each applied
    with this very order, whose end follows with the last of them."""
    return order.filled_quantity > trade.filled_quantity


def tells_nothing_new(*, account_id: uuid.UUID, order: BrokerOrder) -> bool:
    """Whether a report without an execution is known already, by the trade as it is without a lock: `apply_report`
    would lock and read its books for nothing. A stream says so of most orders, whose answer was faster."""
    trade = AutoTrade.objects.filter(client_order_id=order.client_order_id).first()
    if trade is None or trade.broker_order_id != order.broker_order_id:
        return False
    check_order(trade, order, account_id)
    done = _settle(trade, order, None)
    return not done.contradiction and len(done.path) == 1


def apply_report(
    *, account_id: uuid.UUID, order: BrokerOrder, execution: BrokerExecution | None = None, told_by: str,
    kind: str = BrokerMessage.Kind.REPORT, sent_at: datetime | None = None, fence: int | None = None,
) -> AutoTrade:  # fmt: skip
    """What a broker tells of one order: books the execution once, and moves the trade as the table says.

    An order's summary books no fill: after the call, `misses_fills(trade, order)` says whether to ask for them.
    told_by: stream, reconciliation, submit, …, for people. kind, sent_at: of the exchange that it answers, which is
    noted in any case; a report of the broker's own is noted where it changed something. fence: of the caller's claim.
    Whatever goes wrong unforeseen is a BadReport, too; within a caller's transaction that needs the same at its commit
    (`nothing_unforeseen`). Raises ForeignOrder, BadReport, StaleClaim.
    """
    with nothing_unforeseen(order, execution), transaction.atomic():
        return _apply(account_id, order, execution, told_by, kind, sent_at, fence)


def _apply(
    account_id: uuid.UUID, order: BrokerOrder, execution: BrokerExecution | None, told_by: str, kind: str,
    sent_at: datetime | None, fence: int | None,
) -> AutoTrade:  # fmt: skip
    portfolio_id = _portfolio_of(order)
    books = open_books([portfolio_id])
    rows = AutoTrade.objects.select_for_update(no_key=True, of=("self",)).select_related("instrument")
    trade = rows.get(client_order_id=order.client_order_id)
    if fence is not None and trade.fence != fence:
        raise StaleClaim(f"trade {trade.id} was claimed by somebody else")
    check_order(trade, order, account_id)
    snapshot = snapshots.current()
    at = _market_time(execution.at, snapshot) if execution is not None and execution.at.tzinfo else None
    splits = _splits_since(trade, at)
    fill = new_fill(trade, order, execution, books, units_each=new_for_old(splits))
    done = _settle(trade, order, fill)
    if done.contradiction:
        raise BadReport(done.contradiction, payload=as_told(order, execution))
    before = OrderState(trade.status)
    events = _carry_out(trade, order, fill, done, books=books, at=at, splits=splits, told_by=told_by)
    if kind != BrokerMessage.Kind.REPORT or fill is not None or len(done.path) > 1:
        detail = f"told by {told_by}" + (f": {order.reason}" if order.reason else "")
        note_message(trade, kind, order.state, detail=detail, sent_at=sent_at)
    _store_claim(trade, before, done)
    books.save()
    if fill is not None and snapshot is not None:
        note_first_prices([trade], books=books, snapshot=snapshot)
    append(events)
    if fill is not None:
        _after_commit(trade, fill)
    return trade


def _portfolio_of(order: BrokerOrder) -> uuid.UUID:
    found = AutoTrade.objects.filter(client_order_id=order.client_order_id).values_list(
        "portfolio_id", flat=True
    )
    portfolio_id = found.first()
    if portfolio_id is None:
        raise ForeignOrder(
            f"no trade has the client order id {order.client_order_id!r}", payload=as_told(order, None)
        )
    return portfolio_id


def _settle(trade: AutoTrade, order: BrokerOrder, fill: BrokerExecution | None) -> Settlement:
    ours = Ours(
        state=OrderState(trade.status), quantity=trade.quantity, filled=trade.filled_quantity,
        wishes_cancel=trade.cancel_requested_at is not None, known_there=trade.broker_order_id != "",
    )  # fmt: skip
    told = Told(
        state=order.state, filled=order.filled_quantity, fill=fill.quantity if fill is not None else ZERO
    )
    return settle(ours, told)


def _splits_since(trade: AutoTrade, at: datetime | None) -> list[CorporateActionBooking]:
    """Booked before an execution of this market time was told of, which counts in the units of before."""
    if at is None:
        return []
    return splits_since(portfolio_id=trade.portfolio_id, instrument_id=trade.instrument_id, moment=at)


def _carry_out(
    trade: AutoTrade, order: BrokerOrder, fill: BrokerExecution | None, done: Settlement, *, books: Books,
    at: datetime | None, splits: Sequence[CorporateActionBooking], told_by: str,
) -> list[Event]:  # fmt: skip
    """Book the fill, take the rest of the path, reserve again what turned up."""
    id_is_new = trade.broker_order_id != order.broker_order_id
    trade.broker_order_id = order.broker_order_id
    path, events, had_ended = done.path, list[Event](), done.path[0] in FINAL
    if fill is not None:
        if trade.filled_quantity == 0 and (path[0] in FINAL or trade.cancel_requested_at is not None):
            note_act_again(trade)
        last = max(
            i for i, state in enumerate(path) if state in (OrderState.PARTIALLY_FILLED, OrderState.FILLED)
        )
        assert at is not None, "an execution has a time"
        added = fill.quantity if trade.trade_type == "buy" else -fill.quantity
        events += take_back_splits(books, splits)
        events += book_fills([_reported(trade, fill, path[: last + 1], at)], books=books)
        events += split_anew(books, splits, added=added)
        path = path[last:]
    if len(path) == 1:
        if fill is None and id_is_new:
            move([trade], *path, reason=trade.status_reason)  # stays, and keeps the id
        return events
    if path[-1] in FINAL:
        for ended in end_open([trade], *path, books=books, reason=_reason(order, told_by)):
            # Of an order that had ended, and of which a fill is told late, people have heard.
            events += [ended] if had_ended else told_if_unasked(trade, path[0], ended, books=books)
        return events
    reason = trade.cancel_reason if path[-1] == OrderState.CANCELLING else ""
    if path[-1] == OrderState.UNKNOWN:
        reason = f"the broker says that it is {order.state}, and not all of its fills are told"
    if done.turned_up:
        reason = f"it turned up at the broker after it was {done.path[0]}"
        _reserve_again(trade, books)
        count_messages([trade], OrderMessage.Kind.CANCEL)
    moved = move([trade], *path, reason=reason)
    assert moved, "its portfolio and its row are locked"
    if trade.status == done.path[0] and not (events and trade.status == OrderState.UNKNOWN):
        return (
            events  # a fill while it is being cancelled; one of an order in doubt told another status by now
        )
    told = trade_event(
        trade, f"trade.{trade.status}", at=database_now(), broker_order_id=order.broker_order_id,
        reason=reason, told_by=told_by,
    )  # fmt: skip
    return [*events, told, *([_turned_up(trade, reason)] if done.turned_up else [])]


def _reason(order: BrokerOrder, told_by: str) -> str:
    return order.reason or f"the broker says so ({told_by})"


def _turned_up(trade: AutoTrade, reason: str) -> Event:
    message = (
        f"Order {trade.client_order_id} ({trade}): {reason}. It is being cancelled; its fills are booked."
    )
    told = trade_event(trade, "trade.turned_up", at=database_now(), reason=reason)
    return replace(told, alert=AlertSpec("critical", message))


def _reserve_again(trade: AutoTrade, books: Books) -> None:
    """Its exposure, as far as cash or units are free: it works at the broker whether they are or not."""
    rest = trade.quantity - trade.filled_quantity
    portfolio = books.portfolios[trade.portfolio_id]
    cash = quantity = ZERO
    if trade.trade_type == "buy":
        price = trade.limit_price or trade.stop_price or trade.trigger_price
        wanted = round_money(rest * price * (1 + RESERVE_CUSHION_BPS / BPS))
        cash = max(min(wanted, portfolio.cash - portfolio.reserved_cash), ZERO)
    else:
        quantity = max(min(rest, sellable(trade, books)), ZERO)
    books.reserve(
        owner_id=trade.id, portfolio_id=trade.portfolio_id, instrument_id=trade.instrument_id, cash=cash,
        quantity=quantity,
    )  # fmt: skip


def _reported(
    trade: AutoTrade, fill: BrokerExecution, path: tuple[OrderState, ...], at: datetime
) -> ReportedFill:
    return ReportedFill(
        trade=trade, execution_id=fill.execution_id, quantity=fill.quantity, price=round_money(fill.price),
        fee=round_money(fill.fee), market_at=at, path=path,
    )  # fmt: skip


def _market_time(at: datetime, snapshot: MarketSnapshot | None) -> datetime:
    """The broker's time where our market is live, and never in the future; else the market's, which may be a replay
    of other years, or told with a delay."""
    now = database_now()
    if snapshot is None or (is_live(as_of=snapshot.as_of, now=now) and not feed_delay()):
        return min(at, now)
    return snapshot.as_of


def _store_claim(trade: AutoTrade, before: OrderState, done: Settlement) -> None:
    """Nobody has to send it or to ask for it any more; a new cancel is due at once, and so is what has waited for its
    end."""
    columns: dict[str, Any] = {}
    if before == OrderState.CANCELLING and done.path[-1] in FINAL:
        wake_on_commit(SEND_TASK, queue=SEND_QUEUE)
    if len(done.path) > 1 and before in NOT_KNOWN_THERE and done.path[-1] not in DOUBTFUL:
        columns |= {"claimed_by": "", "claimed_until": None, "ask_at": None, "asks": 0}
    if done.cancels:
        columns |= {"claimed_by": "", "claimed_until": None}
        wake_on_commit(SEND_TASK, queue=SEND_QUEUE)
    if done.turned_up:
        columns |= {"cancel_requested_at": database_now(), "cancel_reason": trade.status_reason}
    if columns:
        AutoTrade.objects.filter(pk=trade.pk).update(**columns)
        for name, value in columns.items():
            setattr(trade, name, value)


def _after_commit(trade: AutoTrade, fill: BrokerExecution) -> None:
    """Tell the log, and look at the losing streak of a portfolio that has just lost."""
    transaction.on_commit(partial(_log_fill, trade, fill), robust=True)
    if trade.trade_type == "sell" and trade.realised_pnl < trade.fees:
        transaction.on_commit(partial(trip_on_streaks, {trade.portfolio_id}), robust=True)


def _log_fill(trade: AutoTrade, fill: BrokerExecution) -> None:
    log.info(
        "trade_filled", portfolio_id=str(trade.portfolio_id), side=trade.trade_type, symbol=trade.symbol,
        quantity=plain_decimal(fill.quantity), price=plain_decimal(fill.price),
    )  # fmt: skip
