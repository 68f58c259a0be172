"""Orders whose outcome is not known are settled by asking for their client id, and by nothing else.

Lost claims: `submitting` beyond its lease is unknown; its worker died, or was stopped, anywhere between the claim and
the record. "No such order" is not believed before the last bytes can have arrived anywhere (`_settled_at`); then the
same id is sent again if it still may be, else the trade expires. A broker that cannot say is asked on; after
BROKER_QUARANTINE_SECONDS without an answer a person must look. Every step is one transaction, so that whoever comes
after a death goes on where it stands.
"""

from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from foundation.clock import database_now
from foundation.kill_points import reach
from foundation.version import may_trade
from foundation.wakeups import wake
from journal.core.events import Event
from journal.services.journal import append
from portfolios.services.books import Books
from trading.brokers.protocol import AskFailed, BadReport, Broker, BrokerOrder, NotConnected
from trading.core.order_states import DOUBTFUL, OrderState
from trading.models import AutoTrade, BrokerMessage
from trading.services import claims
from trading.services.asking import ask, learn
from trading.services.broker_messages import note_message
from trading.services.broker_troubles import tell_bad_report, tell_not_connected
from trading.services.claims import Claim, Due
from trading.services.doubt import ask_later, become_quarantined, become_unknown
from trading.services.faults import TRANSIENT
from trading.services.held_brokers import held_broker, let_go, pauses
from trading.services.objections import hindrance_to
from trading.services.order_management import end_open
from trading.services.order_reports import StaleClaim
from trading.services.rounds import RUN_SECONDS, Run, recorded
from trading.services.sending import claim_for_sending, submit_claimed, times_sent

log = structlog.get_logger(__name__)
S = OrderState
ASK = BrokerMessage.Kind.ASK
RECOVER_TASK, RECOVER_QUEUE = "trading.tasks.recover_due", "broker"
NO_ANSWER, BAD_ANSWER, NOT_FOUND, NO_FILLS = "no_answer", "bad_answer", "not_found", "no_fills"
# The same id is sent so often at most; then the broker is not worth another try.
ATTEMPTS_MAX = 5


def recover_due(*, seconds: float = RUN_SECONDS, resend: bool = True) -> int:
    """Take over lost claims, and ask for what is unknown, the oldest of every account first. Returns how many trades
    were moved on. Nothing new is taken up after `seconds`.

    resend False: what the broker does not have, and may be sent again, is left to whoever comes next.
    """
    run = Run(seconds=seconds)
    moved = run.work_off(claims.LOST, _take_over, speaks=False)
    moved += run.work_off(claims.TO_ASK, partial(_settle_one, resend=resend))
    if run.ended_early:
        wake(RECOVER_TASK, queue=RECOVER_QUEUE)
    return moved


@transaction.atomic
def _take_over(item: Due) -> bool:
    _, trade = claims.lock_free(item.trade_id)
    now = database_now()
    if trade.status != S.SUBMITTING or trade.claimed_until is None or trade.claimed_until >= now:
        return False
    lost = trade.claimed_by
    claims.take(trade)  # raises the fence: whatever its worker still brings is old
    append(become_unknown(trade, reason=f"its worker was lost ({lost})", ask_at=now))
    return True


def _settle_one(item: Due, *, resend: bool) -> bool:
    claim = _claim(item)
    if claim is None:
        return False
    trade = claim.trade
    reach("recover.before_ask", detail=trade.client_order_id)
    try:
        broker = held_broker(trade.account)
        order = ask(broker, trade)
    except TRANSIENT:
        raise
    except Exception as error:
        _unanswered(claim, error)
        return False
    pauses.worked(trade.account_id)
    reach("recover.before_record", detail=trade.client_order_id)
    if order is not None:
        return _found(claim, broker, order)
    again = recorded(partial(_not_found, claim, resend=resend))
    if again is not None:
        reach("send.after_claim", detail=trade.client_order_id)
        submit_claimed(again, broker)
    return True


@transaction.atomic
def _claim(item: Due) -> Claim | None:
    _, trade = claims.lock_free(item.trade_id)
    due = trade.ask_at is not None and trade.ask_at < database_now()
    return claims.take(trade, asks=True) if trade.status in DOUBTFUL and due else None


def _found(claim: Claim, broker: Broker, order: BrokerOrder) -> bool:
    trade = claim.trade
    try:
        known = learn(broker, trade, order, kind=ASK, sent_at=claim.at, fence=claim.fence, told_by="recovery")
    except StaleClaim:
        return False
    except BadReport as error:
        _unanswered(claim, error)
        return False
    if known.status not in DOUBTFUL:
        return True
    reason = f"it says that the order is {order.state}, and has not told of all its fills"
    recorded(partial(_record_unanswered, claim, NO_FILLS, reason=reason))
    return False


def _unanswered(claim: Claim, error: Exception) -> None:
    """It could not be asked, or said what cannot be true."""
    trade = claim.trade
    outcome, retry_after = NO_ANSWER, None
    if isinstance(error, BadReport):
        outcome = BAD_ANSWER
        tell_bad_report(trade, str(error))
    elif isinstance(error, NotConnected):
        tell_not_connected(trade.account, str(error))
    elif isinstance(error, AskFailed):
        retry_after = error.retry_after_seconds
    else:
        log.exception("ask_failed", trade_id=str(trade.id))
    if outcome == NO_ANSWER:
        let_go(trade.account_id)
        pauses.failed(trade.account_id, at_least=retry_after)
    reach("recover.before_record", detail=trade.client_order_id)
    recorded(
        partial(_record_unanswered, claim, outcome, reason=str(error) or repr(error), retry_after=retry_after)
    )


@transaction.atomic
def _record_unanswered(claim: Claim, outcome: str, *, reason: str, retry_after: float | None = None) -> None:
    _, trade = claims.lock(claim.trade.id)
    if trade.fence != claim.fence or trade.status not in DOUBTFUL:
        return
    since = _last_answer(trade)
    note_message(trade, ASK, outcome, detail=reason, sent_at=claim.at)
    silent = (database_now() - since).total_seconds()
    if trade.status == S.UNKNOWN and silent >= settings.BROKER_QUARANTINE_SECONDS:
        append(
            become_quarantined(trade, reason=f"the broker could not say for {silent:.0f} seconds: {reason}")
        )
        return
    ask_later(trade, retry_after_seconds=retry_after)


def _last_answer(trade: AutoTrade) -> datetime:
    """Since when nobody has answered: the last word that settled anything, or its last sending (database time). What
    was asked for and has left it in doubt did not, but for "no such order"."""
    told = trade.messages.exclude(Q(kind=ASK) & ~Q(outcome=NOT_FOUND)).order_by("-answered_at")
    last = told.values_list("answered_at", flat=True).first()
    sent = trade.sent_at or trade.created_at
    return max(last, sent) if last is not None else sent


def _settled_at(trade: AutoTrade) -> datetime:
    """From then on "no such order" is believed (database time): lease, deadline and the broker's own ways are over."""
    seconds = (
        settings.BROKER_LEASE_SECONDS + settings.BROKER_DEADLINE_SECONDS + settings.BROKER_SETTLE_SECONDS
    )
    return (trade.sent_at or trade.created_at) + timedelta(seconds=seconds)


@transaction.atomic
def _not_found(claim: Claim, *, resend: bool) -> Claim | None:
    """The broker has no such order, as far as it knew when it was asked. Returns the claim to send it again."""
    books, trade = claims.lock(claim.trade.id)
    if trade.fence != claim.fence or trade.status not in DOUBTFUL:
        return None
    note_message(trade, ASK, NOT_FOUND, sent_at=claim.at)
    if claim.at < _settled_at(trade):
        ask_later(trade)
        return None
    if trade.broker_order_id:
        _forgotten(trade)
        return None
    end = _why_not_again(trade)
    if end is not None:
        state, reason = end
        _end(books, trade, state, reason)
        return None
    if not resend or not may_trade():
        ask_later(trade)
        return None
    return claim_for_sending(trade)


def _forgotten(trade: AutoTrade) -> None:
    """It had it, and does not know it any more: that is no answer."""
    if trade.status == S.QUARANTINED:
        ask_later(trade)
        return
    append(become_quarantined(trade, reason="the broker had it, and says now that it does not know it"))


def _why_not_again(trade: AutoTrade) -> tuple[OrderState, str] | None:
    """How it ends, instead of being sent again."""
    if trade.cancel_requested_at is not None:
        return S.CANCELLED, trade.cancel_reason
    if trade.status == S.QUARANTINED:
        return S.EXPIRED, "the broker does not have it, and it is too late to send it again"
    sent = times_sent(trade)
    if sent >= ATTEMPTS_MAX:
        return S.EXPIRED, f"the broker does not have it, after {sent} attempts"
    hindrance = hindrance_to(trade, now=database_now(), again=True)
    if hindrance is None:
        return None
    assert hindrance.state is not None
    return hindrance.state, f"the broker does not have it, and it may not be sent again: {hindrance.reason}"


def _end(books: Books, trade: AutoTrade, state: OrderState, reason: str) -> None:
    events: list[Event] = end_open([trade], trade.status, state, books=books, reason=reason)
    claims.hand_back(trade, ask_at=None, asks=0)
    books.save()
    append(events)
