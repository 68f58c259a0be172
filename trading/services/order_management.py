"""Making trades from approved decisions and moving them along the table of states.

The only writer of a trade's status. Every move is a compare-and-swap on (status, fence), so that
whoever acts on old knowledge changes nothing.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction

from foundation.clock import database_now
from foundation.copying import copy_in, copy_values
from foundation.errors import Conflict, NotFound
from journal.core.events import Event
from journal.services.journal import append
from market.models import Instrument
from portfolios.services.books import Books, open_books
from trading.core.order_states import OrderState, check_path
from trading.core.protections import NONE, Percentages
from trading.core.risk import Approved
from trading.models import AutoTrade, OrderMessage
from trading.services.cooldowns import take_back_acts
from trading.services.fresh_state import FreshState
from trading.services.history import open_order, past_order


@dataclass(frozen=True)
class Intent:
    """What is to be ordered; everything that the order must name is here or in the Approved."""

    decision_id: uuid.UUID
    rule_id: uuid.UUID | None
    rule_version_id: int | None
    approved: Approved
    instrument: Instrument
    origin: str
    actor: str
    recommendation_id: uuid.UUID | None = None
    protected: Percentages = NONE  # of the position that a buy opens or adds to


def make_trade(state: FreshState, intent: Intent) -> AutoTrade:
    """An unsaved pending trade; its cash or quantity is reserved in the open books at once, so that the next
    order of the batch is checked against what this one leaves."""
    request = intent.approved.request
    trade_id = uuid.uuid4()
    buys = request.side == "buy"
    state.books.reserve(
        owner_id=trade_id, portfolio_id=state.portfolio_id, instrument_id=intent.instrument.id,
        cash=request.cost if buys else Decimal(0), quantity=Decimal(0) if buys else request.quantity,
    )  # fmt: skip
    trade = AutoTrade(
        id=trade_id,
        portfolio_id=state.portfolio_id,
        account=state.account,
        session=state.session,
        rule_id=intent.rule_id,
        rule_version_id=intent.rule_version_id,
        decision_id=intent.decision_id,
        recommendation_id=intent.recommendation_id,
        origin=intent.origin,
        actor=intent.actor,
        slot=state.view.snapshot.version,
        instrument=intent.instrument,
        symbol=intent.instrument.symbol,
        trade_type=request.side,
        quantity=request.quantity,
        trigger_price=request.price,
        stop_loss_percentage=intent.protected.stop_loss,
        take_profit_percentage=intent.protected.take_profit,
        trailing_stop_percentage=intent.protected.trailing_stop,
        status=OrderState.PENDING,
        client_order_id=f"at-{trade_id.hex}",
        limits_version=request.limits.versions,
        price_age_ms=int(request.price_age_seconds * 1000),
        market_at=state.view.snapshot.as_of,
        market_day=state.view.snapshot.as_of.date(),
    )
    state.history.ordered(past_order(trade), open_order(trade))
    return trade


def store_trades(trades: Sequence[AutoTrade]) -> None:
    """New intents, and the message to the broker that each of them will be: counted now, under the lock."""
    copy_in(trades)
    _count_messages(trades, OrderMessage.Kind.SUBMIT)


def _count_messages(trades: Sequence[AutoTrade], kind: str) -> None:
    now = database_now()
    columns = ("portfolio_id", "account_id", "kind", "at")
    copy_values(
        OrderMessage, columns, [(trade.portfolio_id, trade.account_id, kind, now) for trade in trades]
    )


def forget_messages(*, minutes: int) -> int:
    """Those that no limit asks for any more; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM trading_ordermessage WHERE at < clock_timestamp() - make_interval(mins => %s)",
            [minutes],
        )
        return cursor.rowcount


def trade_payload(trade: AutoTrade, **more: Any) -> dict[str, Any]:
    """What every event about a trade tells."""
    return {
        "trade_id": trade.id, "client_order_id": trade.client_order_id, "session_id": trade.session_id,
        "rule_id": trade.rule_id, "symbol": trade.symbol, "trade_type": trade.trade_type,
        "quantity": trade.quantity, "status": trade.status, "origin": trade.origin, **more,
    }  # fmt: skip


def trade_event(trade: AutoTrade, kind: str, *, at: datetime, **more: Any) -> Event:
    return Event(stream=trade.portfolio_id, kind=kind, at=at, payload=trade_payload(trade, **more))


_MOVE = """
    UPDATE auto_trades AS t SET
        status = %(new)s, status_reason = %(reason)s, updated_at = clock_timestamp(),
        filled_quantity = n.filled_quantity, executed_price = n.executed_price, fees = n.fees,
        realised_pnl = n.realised_pnl, executed_at = n.executed_at, broker_order_id = n.broker_order_id
    FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[], %(filled)s::numeric[], %(prices)s::numeric[],
                %(fees)s::numeric[], %(realised)s::numeric[], %(times)s::timestamptz[], %(orders)s::text[])
        AS n (id, fence, filled_quantity, executed_price, fees, realised_pnl, executed_at, broker_order_id)
    WHERE t.id = n.id AND t.fence = n.fence AND t.status = %(old)s
    RETURNING t.id
"""


def move(trades: Sequence[AutoTrade], *path: str, reason: str = "") -> list[AutoTrade]:
    """Take trades along the path to its last state, with the progress that they carry (fills, fees, broker's id).

    One statement for any number of trades; returns those that really moved, in the given order. A trade that
    somebody else moved or claimed meanwhile is left as it is in the database. Raises IllegalMove.
    """
    last = check_path(*path)
    if not trades:
        return []
    columns: dict[str, Any] = {
        "old": path[0], "new": last, "reason": reason[:255],
        "ids": [t.id for t in trades], "fences": [t.fence for t in trades],
        "filled": [t.filled_quantity for t in trades], "prices": [t.executed_price for t in trades],
        "fees": [t.fees for t in trades], "realised": [t.realised_pnl for t in trades],
        "times": [t.executed_at for t in trades], "orders": [t.broker_order_id for t in trades],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, columns)
        swapped = {row[0] for row in cursor.fetchall()}
    moved = [trade for trade in trades if trade.id in swapped]
    for trade in moved:
        trade.status, trade.status_reason = last, reason[:255]
    return moved


def end_pending(
    trades: Sequence[AutoTrade], *, books: Books, reason: str, state: OrderState = OrderState.CANCELLED
) -> list[Event]:
    """End trades of which nothing was sent (cancelled, expired or rejected) and give back what they had
    reserved; their rules did not act. The caller saves the books and journals."""
    ended = move(trades, OrderState.PENDING, state, reason=reason)
    for trade in ended:
        books.release(trade.id)
    if not ended:
        return []
    take_back_acts(ended)
    now = database_now()
    return [trade_event(trade, f"trade.{state}", at=now, reason=reason) for trade in ended]


@transaction.atomic
def cancel_trade(*, trade_id: uuid.UUID, actor: AbstractBaseUser | None) -> AutoTrade:
    """Cancel one trade. Conflict when it is final or on its way already."""
    portfolio_id = AutoTrade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound(f"There is no trade {trade_id}.")
    books = open_books([portfolio_id])
    trade = AutoTrade.objects.select_for_update(no_key=True).get(pk=trade_id)
    if trade.status != OrderState.PENDING:
        raise Conflict(
            f"The trade is {trade.status}; only a pending trade can be cancelled.",
            code="trade_state", status_now=trade.status,
        )  # fmt: skip
    _count_messages([trade], OrderMessage.Kind.CANCEL)
    events = end_pending([trade], books=books, reason=f"by {actor.get_username() if actor else 'system'}")
    books.save()
    append(events)
    return trade


def pending_of(portfolio_ids: Iterable[uuid.UUID]) -> list[AutoTrade]:
    """The pending trades of portfolios whose lock the caller holds, oldest first."""
    return list(
        AutoTrade.objects.filter(portfolio_id__in=list(portfolio_ids), status=OrderState.PENDING)
        .select_related("account", "session", "rule", "rule_version", "instrument")
        .order_by("created_at", "id")
    )
