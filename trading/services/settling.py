"""A person ends an order of which nobody, not even its broker, can say what became of it.

The last word of somebody who has looked at the broker's own page, or has spoken to it. Without it all that such an
order has reserved would stay reserved for ever, its symbol blocked, and its account could be neither disconnected nor
connected anew. Should the order turn up all the same, its fills are booked, and it is cancelled, like any other's.
"""

import uuid
from dataclasses import replace

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from foundation.tokens import is_program
from journal.core.events import AlertSpec
from journal.services.journal import append
from portfolios.core.access import Action
from portfolios.selectors import needs_four_eyes, visible_portfolio
from trading.core.order_states import OrderState
from trading.models import AutoTrade
from trading.services import claims
from trading.services.order_management import end_open

ENDS = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)
EXPLANATION_CHARACTERS_MAX = 500


@transaction.atomic
def settle_by_hand(
    *, trade_id: uuid.UUID, state: str, explanation: str, actor: AbstractBaseUser
) -> AutoTrade:
    """End a quarantined trade as the broker says that it ended; what was filled of it stays booked.

    explanation: what was found, and where; it stands in the journal. Raises NotFound, Forbidden (neither risk officer
    of the portfolio nor staff), InvalidInput, Conflict (it is not quarantined; where four eyes are asked for, whoever
    ordered it by hand does not end it himself).
    """
    row = AutoTrade.objects.filter(pk=trade_id).only("portfolio_id").first()
    if row is None:
        raise NotFound(f"There is no trade {trade_id}.")
    visible_portfolio(actor, row.portfolio_id, action=Action.SETTLE_TRADE)
    text = explanation.strip()
    if not 0 < len(text) <= EXPLANATION_CHARACTERS_MAX:
        message = f"Say in 1 to {EXPLANATION_CHARACTERS_MAX} characters what the broker says of it."
        raise InvalidInput(f"explanation: {message}", errors=[{"path": "explanation", "message": message}])
    if state not in ENDS:
        message = f"must be one of {', '.join(ENDS)}; what was filled is booked from the broker's fills."
        raise InvalidInput(f"state: {message}", errors=[{"path": "state", "message": message}])
    if is_program(actor.pk):
        raise Forbidden("A person must say it; you are a service account.", code="person_required")
    books, trade = claims.lock(trade_id)
    name = actor.get_username()
    objection = _objection(trade, state, name)
    if objection is not None:
        raise objection
    # Without the broker's own word it is over here only: should the broker show it after all, that is news.
    known_as, trade.broker_order_id = trade.broker_order_id, ""
    events = end_open(
        [trade], OrderState.QUARANTINED, OrderState(state), books=books, reason=f"{name}: {text}"
    )
    claims.hand_back(trade, ask_at=None, asks=0)
    books.save()
    message = f"{name} ended the quarantined order {trade.client_order_id} ({trade}) as {state}: {text}"
    append(
        [
            replace(
                event,
                payload=dict(event.payload)
                | {"actor": name, "explanation": text, "broker_order_id": known_as},
                alert=AlertSpec("warning", message[:2000]),
            )
            for event in events
        ]
    )
    return trade


def _objection(trade: AutoTrade, state: str, name: str) -> Conflict | None:
    if trade.status != OrderState.QUARANTINED:
        message = f"The trade is {trade.status}; only a quarantined one is ended by hand."
        return Conflict(message, code="trade_state", status_now=trade.status)
    if state == OrderState.REJECTED and trade.filled_quantity > 0:
        return Conflict("Some of it was filled, so it was not rejected.", code="trade_filled")
    if trade.actor == f"user:{name}" and needs_four_eyes([trade.portfolio_id]):
        return Conflict("It must be ended by another person than the one who ordered it.", code="four_eyes")
    return None
