"""Orders that a split has overtaken: their quantities and prices count in units that there are no more.

They are cancelled wherever they are, so that nothing is bought or sold in a wrong number, and so that the split, which
waits for the orders of its instrument, is booked. The paper batch does the same for what it looks at; this sweep finds
what works at a real broker, or waits in an exchange that is closed.
"""

import uuid

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from journal.services.journal import append
from market.models import CorporateAction
from market.selectors import market_now
from portfolios.services.books import open_books
from trading.core.order_states import OPEN, OrderState
from trading.models import AutoTrade
from trading.services.order_management import request_cancels

log = structlog.get_logger(__name__)
REASON = "a split came after its decision: its quantity and prices are in old units"


def cancel_split_orders() -> int:
    """Ask for the cancel of all of them; returns how many portfolios had some. Safe to call at any time."""
    ids = list(_overtaken().order_by("portfolio_id").values_list("portfolio_id", flat=True).distinct())
    for portfolio_id in ids:
        try:
            _cancel_in(portfolio_id)
        except Exception:  # one portfolio must not keep the others' orders in the market
            log.exception("cancelling_split_orders_failed", portfolio_id=str(portfolio_id))
    return len(ids)


@transaction.atomic
def _cancel_in(portfolio_id: uuid.UUID) -> None:
    books = open_books([portfolio_id])
    trades = list(_overtaken().filter(portfolio_id=portfolio_id).select_related("account"))
    events = request_cancels(trades, books=books, reason=REASON)
    books.save()
    append(events)


def _overtaken() -> QuerySet[AutoTrade]:
    """Open orders decided before the ex time of a split of their instrument that market time has reached, whose cancel
    nobody has asked for yet."""
    now = market_now()
    if now is None:
        return AutoTrade.objects.none()
    splits = CorporateAction.objects.filter(
        kind=CorporateAction.Kind.SPLIT, instrument_id=OuterRef("instrument_id"), withdrawn_at=None,
        ex_at__gt=OuterRef("market_at"), ex_at__lte=now,
    )  # fmt: skip
    states = [state.value for state in OPEN - {OrderState.CANCELLING}]
    return AutoTrade.objects.filter(Exists(splits), status__in=states, cancel_requested_at=None)
