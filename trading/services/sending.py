"""Orders go to real brokers: claim, gate, send, record (design, section 5).

A claim commits before the first byte goes out; no transaction and no lock is held while the broker is spoken to. What
comes back is recorded only by whoever still holds the claim. An order of which certainly no byte has left is `pending`
again, with its age; an outcome that is not certain is `unknown`, and settled
by `trading.services.recovery`: nothing here sends anything twice. Cancels that are due go first (`cancelling`).
"""

from functools import partial

import structlog
from django.db import transaction

from foundation.clock import database_now
from foundation.kill_points import reach
from foundation.version import may_trade
from foundation.wakeups import wake
from journal.core.events import Event
from journal.services.journal import append
from portfolios.models import BrokerAccount
from portfolios.services.books import Books
from trading.brokers.connections import require_live_allowed
from trading.brokers.protocol import (
    Accepted,
    BadReport,
    Broker,
    GateClosed,
    NotCapable,
    NotConnected,
    NotSent,
    OrderTicket,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade, BrokerMessage, OrderMessage
from trading.services import claims
from trading.services.asking import ask
from trading.services.broker_messages import note_message
from trading.services.broker_troubles import tell_bad_report, tell_not_connected
from trading.services.cancelling import cancel_at_broker
from trading.services.claims import Claim, Due
from trading.services.doubt import become_unknown
from trading.services.faults import TRANSIENT
from trading.services.gate import Look
from trading.services.held_brokers import held_broker, let_go, pauses
from trading.services.objections import hindrance_to
from trading.services.order_management import SEND_QUEUE, SEND_TASK, end_open, move, trade_event
from trading.services.order_messages import count_messages
from trading.services.order_reports import ForeignOrder, StaleClaim, apply_report
from trading.services.rounds import Run, recorded

log = structlog.get_logger(__name__)
S = OrderState
SUBMIT = BrokerMessage.Kind.SUBMIT
NOT_SENT = "not_sent"


def send_due() -> int:
    """Carry out cancels that are due and send what is pending, the oldest of every account first. Returns how many
    trades were moved on; what is left when time is up wakes a successor."""
    run = Run()
    moved = run.work_off(claims.CANCELLING, cancel_at_broker) + run.work_off(claims.PENDING, _send_one)
    if run.ended_early:
        wake(SEND_TASK, queue=SEND_QUEUE)
    return moved


def cancel_due() -> int:
    """Only the cancels that are due: nothing of anybody is sent. Returns how many trades were moved on."""
    return Run().work_off(claims.CANCELLING, cancel_at_broker)


def _send_one(item: Due) -> bool:
    if not may_trade():
        return False
    account = BrokerAccount.objects.get(pk=item.account_id)
    broker = _broker_for_orders(account)
    reach("send.before_claim", detail=str(item.trade_id))
    claim = _claim(item, may_send=broker is not None)
    if isinstance(claim, bool) or broker is None:
        return bool(claim)
    reach("send.after_claim", detail=claim.trade.client_order_id)
    submit_claimed(claim, broker)
    return True


def _broker_for_orders(account: BrokerAccount) -> Broker | None:
    try:
        require_live_allowed(is_live=account.is_live)
    except NotConnected as error:
        tell_not_connected(account, str(error))  # no pause: cancels and questions go on
        return None
    try:
        return held_broker(account)
    except NotConnected as error:
        _not_connected(account, str(error))
        return None


def _not_connected(account: BrokerAccount, reason: str) -> None:
    let_go(account.id)
    pauses.failed(account.id)
    tell_not_connected(account, reason)


@transaction.atomic
def _claim(item: Due, *, may_send: bool) -> Claim | bool:
    """The trade, claimed and `submitting` when this commits; True: it ended instead, False: it waits. Raises Busy."""
    books, trade = claims.lock_free(item.trade_id)
    if trade.status != S.PENDING:
        return False
    hindrance = hindrance_to(trade, now=database_now())
    if hindrance is not None:
        if hindrance.state is None:
            return False
        _close(books, end_open([trade], S.PENDING, hindrance.state, books=books, reason=hindrance.reason))
        return True
    if not may_send:
        return False
    return claim_for_sending(trade)


def claim_for_sending(trade: AutoTrade) -> Claim:
    """From pending, or from unknown to send the same id again; its row is locked, the caller commits at once."""
    before = trade.status
    if before != S.PENDING:
        count_messages([trade], OrderMessage.Kind.SUBMIT)  # the first was counted when it was decided
    claim = claims.take(trade, sends=True)
    moved = move([trade], before, S.SUBMITTING)
    assert moved, "its row is locked"
    append([trade_event(trade, "trade.submitting", at=claim.at, attempt=trade.attempt)])
    return claim


def _close(books: Books, events: list[Event]) -> None:
    books.save()
    append(events)


def ticket_of(trade: AutoTrade) -> OrderTicket:
    terms = OrderTerms(
        order_type=OrderType(trade.order_type), time_in_force=TimeInForce(trade.time_in_force),
        limit_price=trade.limit_price, stop_price=trade.stop_price, trail_percentage=trade.trail_percentage,
    )  # fmt: skip
    return OrderTicket(
        client_order_id=trade.client_order_id, symbol=trade.symbol, side=trade.trade_type, quantity=trade.quantity,
        terms=terms,
    )  # fmt: skip


def submit_claimed(claim: Claim, broker: Broker) -> None:
    """Send it, once, and record what came of it. Nothing is open in the database meanwhile."""
    trade, look = claim.trade, Look(claim)
    try:
        outcome = _submit(claim, broker, look)
    except GateClosed as closed:
        log.info("gate_closed", trade_id=str(trade.id), reason=str(closed))
        if not look.lost:
            recorded(partial(_record_unsent, claim, reason=str(closed), ends=bool(look.ended)))
        return
    except (NotConnected, NotSent) as error:
        if _may_be_there(trade):
            recorded(partial(_record_unknown, claim, Unknown(str(error))))
        else:
            recorded(partial(_record_unsent, claim, reason=str(error), ends=False))
        if isinstance(error, NotConnected):
            _not_connected(trade.account, str(error))
        else:
            let_go(trade.account_id)
            pauses.failed(trade.account_id)
        return
    if isinstance(outcome, Rejected) and _may_be_there(trade):
        outcome = _look_again(trade, broker, outcome)
    reach("send.before_record", detail=trade.client_order_id)
    _record(claim, outcome)
    reach("send.after_record", detail=trade.client_order_id)
    if isinstance(outcome, Unknown):
        let_go(trade.account_id)
        pauses.failed(trade.account_id, at_least=outcome.retry_after_seconds)
    else:
        pauses.worked(trade.account_id)


def _submit(claim: Claim, broker: Broker, look: Look) -> SubmitOutcome:
    """The outcome; whatever else an adapter may raise leaves it unknown."""
    trade = claim.trade
    try:
        return broker.submit(ticket_of(trade), gate=look)
    except (GateClosed, NotConnected, NotSent, *TRANSIENT):
        raise
    except NotCapable as error:
        return Rejected(str(error), code="not_capable")
    except BadReport as error:
        tell_bad_report(trade, str(error))
        return Unknown(f"its answer cannot be true: {error}")
    except Exception as error:
        log.exception("submit_failed", trade_id=str(trade.id))
        return Unknown(f"sending failed: {type(error).__name__}")


def _may_be_there(trade: AutoTrade) -> bool:
    """Whether it was sent before: a broker has said since that it does not have it, but may show it late."""
    return times_sent(trade) > 1


def times_sent(trade: AutoTrade) -> int:
    """How often some of it may have gone out: its claims, less those of which no byte has."""
    if trade.attempt <= 1:
        return trade.attempt
    return trade.attempt - trade.messages.filter(kind=SUBMIT, outcome=NOT_SENT).count()


def _look_again(trade: AutoTrade, broker: Broker, outcome: Rejected) -> SubmitOutcome:
    """Refused when it was sent anew: maybe because the first one is there and holds the money. What is true, the
    broker is asked; only when it has none the refusal counts."""
    try:
        order = ask(broker, trade)
    except TRANSIENT:
        raise
    except Exception as error:
        return Unknown(f"refused when it was sent again ({outcome.reason}), and it cannot be asked: {error}")
    if order is None:
        return outcome
    return Unknown(f"refused when it was sent again ({outcome.reason}), and there is one of this id")


def _record(claim: Claim, outcome: SubmitOutcome) -> None:
    if isinstance(outcome, Accepted):
        outcome = _record_accepted(claim, outcome)
    if isinstance(outcome, Rejected):
        recorded(partial(_record_rejected, claim, outcome))
    elif isinstance(outcome, Unknown):
        recorded(partial(_record_unknown, claim, outcome))


def _record_accepted(claim: Claim, outcome: Accepted) -> SubmitOutcome:
    """As applied; Unknown where it accepted something else than what was sent."""
    trade, order = claim.trade, outcome.order
    try:
        if order.client_order_id != trade.client_order_id:
            raise BadReport(f"it accepted {order.client_order_id}, sent was {trade.client_order_id}")
        recorded(
            partial(
                apply_report, account_id=trade.account_id, order=order, told_by="submit", kind=SUBMIT,
                sent_at=trade.sent_at, fence=claim.fence,
            )
        )  # fmt: skip
    except StaleClaim:
        log.warning("claim_lost", trade_id=str(trade.id))
    except (BadReport, ForeignOrder) as error:
        tell_bad_report(trade, str(error))
        return Unknown(f"its answer cannot be true: {error}")
    return outcome


def _still_mine(claim: Claim) -> tuple[Books, AutoTrade] | None:
    """The books and the trade under lock, unless somebody else has claimed it since."""
    books, trade = claims.lock(claim.trade.id)
    if trade.fence != claim.fence:
        log.warning("claim_lost", trade_id=str(trade.id))
        return None
    return books, trade


@transaction.atomic
def _record_unsent(claim: Claim, *, reason: str, ends: bool) -> None:
    """Nothing was sent: it is cancelled, or waits again."""
    found = _still_mine(claim)
    if found is None:
        return
    books, trade = found
    if trade.status != S.SUBMITTING:
        return
    note_message(trade, SUBMIT, NOT_SENT, detail=reason, sent_at=trade.sent_at)
    claims.hand_back(trade)
    if ends or trade.cancel_requested_at is not None:
        why = reason if ends else trade.cancel_reason
        _close(books, end_open([trade], S.SUBMITTING, S.CANCELLED, books=books, reason=why))
        return
    move([trade], S.SUBMITTING, S.PENDING, reason=reason)
    append([trade_event(trade, "trade.pending", at=database_now(), reason=reason)])


@transaction.atomic
def _record_rejected(claim: Claim, outcome: Rejected) -> None:
    found = _still_mine(claim)
    if found is None:
        return
    books, trade = found
    reason = f"{outcome.reason} ({outcome.code})" if outcome.code else outcome.reason
    note_message(trade, SUBMIT, S.REJECTED, detail=reason, sent_at=trade.sent_at)
    if trade.status != S.SUBMITTING:
        return  # the stream was faster, and it is told otherwise: reconciliation sees which is true
    claims.hand_back(trade)
    _close(books, end_open([trade], S.SUBMITTING, S.REJECTED, books=books, reason=reason))


@transaction.atomic
def _record_unknown(claim: Claim, outcome: Unknown) -> None:
    found = _still_mine(claim)
    if found is None:
        return
    _, trade = found
    note_message(trade, SUBMIT, S.UNKNOWN, detail=outcome.reason, sent_at=trade.sent_at)
    if trade.status == S.SUBMITTING:
        append(become_unknown(trade, reason=outcome.reason, retry_after_seconds=outcome.retry_after_seconds))
