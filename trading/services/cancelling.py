"""Cancels at real brokers: asked for until the broker says what has become of the order.

`cancelling` with `claimed_until` empty or past is due: a new wish, a repetition, or a claim whose worker was lost. A
cancel told twice does no harm. An order that can be cancelled no more, and of which the broker does not know, or says
what cannot be true, or never tells of the fills that it counts, is in doubt: asked for by recovery, and ended by a
person in the end.
"""

from dataclasses import dataclass
from functools import partial

import structlog
from django.db import transaction

from foundation.clock import database_now
from foundation.kill_points import reach
from journal.services.journal import append
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    Broker,
    BrokerError,
    BrokerOrder,
    CancelOutcome,
    CancelRefused,
    CancelRequested,
    NotConnected,
    Unknown,
)
from trading.core.order_states import FINAL, OrderState
from trading.models import AutoTrade, BrokerMessage
from trading.services import claims
from trading.services.asking import ask, learn
from trading.services.broker_messages import note_message
from trading.services.broker_troubles import tell_bad_report, tell_not_connected
from trading.services.claims import Claim, Due
from trading.services.doubt import backoff, become_unknown
from trading.services.faults import TRANSIENT
from trading.services.held_brokers import held_broker, let_go, pauses
from trading.services.order_reports import StaleClaim
from trading.services.rounds import recorded

log = structlog.get_logger(__name__)
S = OrderState
CANCEL = BrokerMessage.Kind.CANCEL
# A broker lists a fill some seconds after its order counts it: half a minute of asking, with the backoff.
ASKS_FOR_FILLS = 5


@dataclass(frozen=True)
class _Answer:
    """What the broker said; `order`: what it is, where the cancel was refused and the broker could say. `doubt`: why
    nobody can know what it is."""

    outcome: CancelOutcome
    order: BrokerOrder | None = None
    doubt: str = ""


def cancel_at_broker(item: Due) -> bool:
    """Ask for it once, and record the answer."""
    claim = _claim(item)
    if claim is None:
        return False
    trade = claim.trade
    reach("cancel.after_claim", detail=trade.client_order_id)
    try:
        broker = held_broker(trade.account)
    except NotConnected as error:
        tell_not_connected(trade.account, str(error))
        _failed(claim, Unknown(str(error)))
        return False
    answer = _cancel(trade, broker)
    reach("cancel.before_record", detail=trade.client_order_id)
    if isinstance(answer.outcome, Unknown):
        _failed(claim, answer.outcome)
        return False
    pauses.worked(trade.account_id)
    doubt = answer.doubt
    if answer.order is not None:
        try:
            if _learned(claim, broker, answer.order):
                return True
            if answer.order.state in FINAL and trade.asks >= ASKS_FOR_FILLS:
                doubt = f"it is {answer.order.state}, and not all of its fills are told"
        except BadReport as error:
            doubt = _not_true(trade, error)
    recorded(partial(_record, claim, answer.outcome, doubt=doubt))
    return True


@transaction.atomic
def _claim(item: Due) -> Claim | None:
    _, trade = claims.lock_free(item.trade_id)
    due = trade.claimed_until is None or trade.claimed_until < database_now()
    return claims.take(trade) if trade.status == S.CANCELLING and due else None


def _cancel(trade: AutoTrade, broker: Broker) -> _Answer:
    """One DELETE; refused, the broker is asked what the order is."""
    try:
        outcome = broker.cancel(_as_known(trade)) if trade.broker_order_id else CancelRefused("it has no id")
        reach("cancel.sent", detail=trade.client_order_id)
        return _what_it_is(outcome, trade, broker) if isinstance(outcome, CancelRefused) else _Answer(outcome)
    except TRANSIENT:
        raise
    except AskFailed as error:
        return _Answer(Unknown(str(error), error.retry_after_seconds))
    except BadReport as error:
        tell_bad_report(trade, str(error))
        return _Answer(Unknown(str(error)))
    except BrokerError as error:
        return _Answer(Unknown(str(error)))


def _what_it_is(refused: CancelRefused, trade: AutoTrade, broker: Broker) -> _Answer:
    """Raises AskFailed."""
    try:
        order = ask(broker, trade)
    except BadReport as error:
        return _Answer(refused, doubt=_not_true(trade, error))
    return _Answer(refused, order, "" if order is not None else "the broker does not know it")


def _as_known(trade: AutoTrade) -> BrokerOrder:
    return BrokerOrder(
        client_order_id=trade.client_order_id, broker_order_id=trade.broker_order_id, symbol=trade.symbol,
        side=trade.trade_type, quantity=trade.quantity, filled_quantity=trade.filled_quantity,
        state=S.PARTIALLY_FILLED if trade.filled_quantity else S.ACCEPTED, average_price=trade.executed_price,
    )  # fmt: skip


def _learned(claim: Claim, broker: Broker, order: BrokerOrder) -> bool:
    """Whether the order's state, as asked for, has ended the cancelling. Raises BadReport."""
    try:
        known = learn(
            broker, claim.trade, order, kind=CANCEL, sent_at=claim.at, fence=claim.fence, told_by="cancel"
        )
    except StaleClaim:
        return True
    return known.status != S.CANCELLING


def _not_true(trade: AutoTrade, error: BadReport) -> str:
    tell_bad_report(trade, str(error))
    return f"what the broker says of it cannot be true: {error}"


def _failed(claim: Claim, outcome: Unknown) -> None:
    let_go(claim.trade.account_id)
    pauses.failed(claim.trade.account_id, at_least=outcome.retry_after_seconds)
    recorded(partial(_record, claim, outcome))


@transaction.atomic
def _record(claim: Claim, outcome: CancelOutcome, *, doubt: str = "") -> None:
    """It is asked for again after a while, unless it is in doubt."""
    _, trade = claims.lock(claim.trade.id)
    if trade.fence != claim.fence or trade.status != S.CANCELLING:
        return
    if isinstance(outcome, CancelRequested):
        name, detail, retry_after = "requested", "", None
    elif isinstance(outcome, CancelRefused):
        name, detail, retry_after = "refused", outcome.reason, None
    else:
        name, detail, retry_after = "unknown", outcome.reason, outcome.retry_after_seconds
    note_message(trade, CANCEL, name, detail=detail, sent_at=claim.at)
    if doubt:
        append(become_unknown(trade, reason=f"its cancel was refused ({detail}), and {doubt}"))
        return
    wait = backoff(trade.asks + 1, retry_after_seconds=retry_after)
    claims.hand_back(trade, claimed_until=database_now() + wait, asks=trade.asks + 1)
