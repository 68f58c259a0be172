"""Making trades from approved decisions, moving them along the table of states, and asking for their cancel.

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
from django.db import transaction

from foundation.arrays import array_text
from foundation.clock import database_now
from foundation.copying import copy_in
from foundation.core.quick import quick_init
from foundation.errors import Conflict, NotFound
from foundation.ids import id_in_order
from foundation.loading import new, selected
from foundation.wakeups import wake_on_commit
from journal.core.events import Event
from journal.services.journal import append
from market.models import Instrument
from portfolios.models import BrokerAccount
from portfolios.services.books import Books, open_books
from trading.core.order_states import FINAL, WORKING, OrderState, check_path
from trading.core.orders import CLIENT_ID_PREFIX, OrderTerms
from trading.core.protections import NONE, Percentages
from trading.core.risk import Approved
from trading.models import AutoTrade, OrderMessage
from trading.services.cooldowns import take_back_acts
from trading.services.expiry import expires_at
from trading.services.fresh_state import FreshState
from trading.services.history import open_order, past_order
from trading.services.order_messages import count_messages

EXECUTE_TASK, EXECUTE_QUEUE = "trading.tasks.execute_due", "execution"
SEND_TASK, SEND_QUEUE = "trading.tasks.send_due", "broker"
PAPER = BrokerAccount.Broker.PAPER
REASON_CHARACTERS_MAX = 255  # the columns end there


@quick_init
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

    @property
    def terms(self) -> OrderTerms:
        """Those that were approved: no others can be ordered."""
        return self.approved.request.terms


def make_trade(state: FreshState, intent: Intent) -> AutoTrade:
    """An unsaved pending trade; its cash or quantity is reserved in the open books at once, so that the next
    order of the batch is checked against what this one leaves. Its id tells that it comes before that."""
    request, terms, snapshot = intent.approved.request, intent.terms, state.view.snapshot
    trade_id = id_in_order()
    buys = request.side == "buy"
    state.books.reserve(
        owner_id=trade_id, portfolio_id=state.portfolio_id, instrument_id=intent.instrument.id,
        cash=request.cost if buys else Decimal(0), quantity=Decimal(0) if buys else request.quantity,
    )  # fmt: skip
    trade = new(
        AutoTrade,
        related={"account": state.account, "session": state.session, "instrument": intent.instrument},
        id=trade_id,
        portfolio_id=state.portfolio_id,
        rule_id=intent.rule_id,
        rule_version_id=intent.rule_version_id,
        decision_id=intent.decision_id,
        recommendation_id=intent.recommendation_id,
        origin=intent.origin,
        actor=intent.actor,
        slot=snapshot.version,
        symbol=intent.instrument.symbol,
        trade_type=request.side,
        order_type=terms.order_type.value,
        time_in_force=terms.time_in_force.value,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        trail_percentage=terms.trail_percentage,
        expires_at=expires_at(terms, instrument=intent.instrument, snapshot=snapshot),
        quantity=request.quantity,
        trigger_price=request.price,
        stop_loss_percentage=intent.protected.stop_loss,
        take_profit_percentage=intent.protected.take_profit,
        trailing_stop_percentage=intent.protected.trailing_stop,
        status=OrderState.PENDING,
        client_order_id=f"{CLIENT_ID_PREFIX}{trade_id.hex}",
        limits_version=request.limits.versions,
        price_age_ms=int(request.price_age_seconds * 1000),
        market_at=snapshot.as_of,
        market_day=snapshot.as_of.date(),
    )
    state.history.ordered(past_order(trade), open_order(trade))
    return trade


def store_trades(trades: Sequence[AutoTrade]) -> None:
    """New intents, and the message to the broker that each of them will be: counted now, under the lock."""
    copy_in(trades)
    count_messages(trades, OrderMessage.Kind.SUBMIT)


def trade_payload(trade: AutoTrade, **more: Any) -> dict[str, Any]:
    """What every event about a trade tells."""
    return {
        "trade_id": trade.id, "client_order_id": trade.client_order_id, "session_id": trade.session_id,
        "rule_id": trade.rule_id, "symbol": trade.symbol, "trade_type": trade.trade_type,
        "quantity": trade.quantity, "status": trade.status, "origin": trade.origin, "order_type": trade.order_type,
        "time_in_force": trade.time_in_force, "limit_price": trade.limit_price, "stop_price": trade.stop_price,
        "trail_percentage": trade.trail_percentage, **more,
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
        "old": path[0], "new": last, "reason": reason[:REASON_CHARACTERS_MAX],
        "ids": array_text([t.id for t in trades]), "fences": array_text([t.fence for t in trades]),
        "filled": array_text([t.filled_quantity for t in trades]),
        "prices": array_text([t.executed_price for t in trades]),
        "fees": array_text([t.fees for t in trades]), "realised": array_text([t.realised_pnl for t in trades]),
        "times": array_text([t.executed_at for t in trades]),
        "orders": array_text([t.broker_order_id for t in trades]),
    }  # fmt: skip
    swapped = {row[0] for row in selected(_MOVE, columns)}
    moved = [trade for trade in trades if trade.id in swapped]
    for trade in moved:
        trade.status, trade.status_reason = last, reason[:REASON_CHARACTERS_MAX]
    return moved


def end_open(trades: Sequence[AutoTrade], *path: str, books: Books, reason: str) -> list[Event]:
    """Take open trades along the path to a final state and give back what they still have reserved; the rule of one
    of which nothing was filled did not act. What was filled stays booked. The caller saves the books and journals.

    All of them stand at the path's beginning; one that somebody else moved meanwhile is left alone.
    """
    last = check_path(*path)
    assert last in FINAL
    ended = move(trades, *path, reason=reason)
    for trade in ended:
        books.release(trade.id)
    if not ended:
        return []
    take_back_acts([trade for trade in ended if trade.filled_quantity == 0])
    now = database_now()
    return [trade_event(trade, f"trade.{last}", at=now, reason=reason) for trade in ended]


def end_pending(
    trades: Sequence[AutoTrade], *, books: Books, reason: str, state: OrderState = OrderState.CANCELLED
) -> list[Event]:
    """End trades of which nothing was sent (cancelled, expired or rejected)."""
    return end_open(trades, OrderState.PENDING, state, books=books, reason=reason)


def request_cancels(trades: Iterable[AutoTrade], *, books: Books, reason: str) -> list[Event]:
    """Cancel what can be, ask the broker for what works there, and remember the wish for what is in doubt.

    pending, and what works at the paper broker    cancelled at once, what is reserved given back
    working at a real broker                       cancelling; its sender is woken
    submitting, unknown, quarantined               the wish is kept until it is known where the order is
    cancelling, final                              nothing: it is on its way, or over

    The trades' rows are locked and read again, so whoever claimed one just before is seen; the portfolios of
    `books` are locked already. A cancel that reaches a broker counts as a message, and no limit holds it up. The
    caller saves the books and journals; the given trades are as they are then.
    """
    given = {trade.id: trade for trade in trades}
    rows = list(
        AutoTrade.objects.filter(pk__in=given).select_related("account").order_by("id")
        .select_for_update(no_key=True, of=("self",))
    )  # fmt: skip
    at_once: dict[OrderState, list[AutoTrade]] = {}
    at_broker: dict[OrderState, list[AutoTrade]] = {}
    in_doubt = []
    for trade in rows:
        state = OrderState(trade.status)
        if state == OrderState.PENDING or (state in WORKING and trade.account.broker == PAPER):
            at_once.setdefault(state, []).append(trade)
        elif state in WORKING:
            at_broker.setdefault(state, []).append(trade)
        elif state not in FINAL and state != OrderState.CANCELLING and trade.cancel_requested_at is None:
            in_doubt.append(trade)
    events: list[Event] = []
    for state, group in at_once.items():
        events += end_open(group, state, OrderState.CANCELLED, books=books, reason=reason)
    sent = [trade for state, group in at_broker.items()
            for trade in move(group, state, OrderState.CANCELLING, reason=reason)]  # fmt: skip
    events += _remember_wish(sent, "trade.cancelling", reason=reason)
    events += _remember_wish(in_doubt, "trade.cancel_requested", reason=reason)
    worked = [trade for state in WORKING for trade in at_once.get(state, ())]
    count_messages([*worked, *sent, *in_doubt], OrderMessage.Kind.CANCEL)
    if sent:
        wake_on_commit(SEND_TASK, queue=SEND_QUEUE)
    for trade in rows:
        for name in ("status", "status_reason", "fence", "cancel_requested_at", "cancel_reason"):
            setattr(given[trade.id], name, getattr(trade, name))
    return events


def _remember_wish(trades: Sequence[AutoTrade], kind: str, *, reason: str) -> list[Event]:
    """Note that a cancel is wanted; one that is `cancelling` is claimed by nobody yet."""
    if not trades:
        return []
    now, why = database_now(), reason[:REASON_CHARACTERS_MAX]
    mine = AutoTrade.objects.filter(pk__in=[trade.id for trade in trades])
    mine.update(cancel_requested_at=now, cancel_reason=why, updated_at=now)
    mine.filter(status=OrderState.CANCELLING).update(claimed_by="", claimed_until=None)
    for trade in trades:
        trade.cancel_requested_at, trade.cancel_reason = now, why
    return [trade_event(trade, kind, at=now, reason=reason) for trade in trades]


@transaction.atomic
def cancel_trade(*, trade_id: uuid.UUID, actor: AbstractBaseUser | None) -> AutoTrade:
    """Cancel one trade, or ask for it: see `request_cancels`. Its `status` and `cancel_requested_at` tell which.

    A fill may still be faster than a cancel at a broker; it is booked. Raises NotFound, and Conflict where the trade
    is final or its cancel is on its way.
    """
    portfolio_id = AutoTrade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound(f"There is no trade {trade_id}.")
    books = open_books([portfolio_id])
    trade = AutoTrade.objects.select_for_update(no_key=True).get(pk=trade_id)
    objection = _objection_to_cancel(trade)
    if objection is not None:
        raise Conflict(objection, code="trade_state", status_now=trade.status)
    reason = f"by {actor.get_username() if actor else 'system'}"
    events = request_cancels([trade], books=books, reason=reason)
    books.save()
    append(events)
    return trade


def _objection_to_cancel(trade: AutoTrade) -> str | None:
    if trade.status in FINAL:
        return f"The trade is {trade.status}; only an open one can be cancelled."
    if trade.status == OrderState.CANCELLING:
        return "Its cancel is on its way: the broker has been asked, or is just being asked."
    if trade.cancel_requested_at is not None and trade.status not in (OrderState.PENDING, *WORKING):
        where = "it is cancelled once it is known where it is"
        return f"Its cancel is asked for already: the trade is {trade.status}, and {where}."
    return None


def wake_execution(trades: Iterable[AutoTrade] | None = None) -> None:
    """After the commit, wake those who execute: the paper batch, and the senders if a trade is at a real broker.

    Without trades both: who wakes does not know which there are.
    """
    brokers = {PAPER, ""} if trades is None else {trade.account.broker for trade in trades}
    if PAPER in brokers:
        wake_on_commit(EXECUTE_TASK, queue=EXECUTE_QUEUE)
    if brokers - {PAPER}:
        wake_on_commit(SEND_TASK, queue=SEND_QUEUE)
