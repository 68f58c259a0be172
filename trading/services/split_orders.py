"""Orders that a split has overtaken, or a dividend would: they count in units, or at a price, that there are no more.

They are cancelled wherever they are, so that nothing is bought or sold in a wrong number, and so that the split, which
waits for the orders of its instrument, is booked. The paper batch does the same for what it looks at; this sweep finds
what works at a real broker, or waits in an exchange that is closed.

A real broker looks at a working order with the first price of the new units: at the opening a stop is reached, and a
limit of a reverse split. So there they are cancelled from the last close before the split on.

Before a dividend a real broker takes it off the limits of gtc buys that rest there (FINRA rule 5330; Alpaca: "subject
to price adjustments", and nobody can opt out), perhaps by another order in the place of ours, which nobody here has
ordered. So those are cancelled from that close on, too. What waits to sell stays: it protects.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from journal.services.journal import append
from market.models import CorporateAction
from market.selectors import market_now
from market.splits import actions_at_hand, splits_at_hand
from portfolios.models import BrokerAccount
from portfolios.services.books import open_books
from trading.core.order_states import OPEN, OrderState
from trading.core.orders import OrderType, TimeInForce
from trading.models import AutoTrade
from trading.services.ended_orders import told_of_split
from trading.services.order_management import request_cancels

log = structlog.get_logger(__name__)
CAME = "a split came after its decision: its quantity and prices are in old units"
DIVIDEND = "a dividend comes before its market opens again: its broker would change its limit"
COMES = "a split comes before its market opens again: its quantity and prices are in old units"


def cancel_split_orders() -> int:
    """Ask for the cancel of all of them; returns how many portfolios had some. Safe to call at any time."""
    now = market_now()
    if now is None:
        return 0
    overtaken = cancel_isolated(_overtaken(now), CAME)
    return overtaken + cancel_isolated(_at_hand(now), COMES) + cancel_isolated(_adjusted(now), DIVIDEND)


def cancel_isolated(orders: QuerySet[AutoTrade], reason: str) -> int:
    """Of each portfolio in a transaction of its own; how many there were."""
    ids = list(orders.order_by("portfolio_id").values_list("portfolio_id", flat=True).distinct())
    for portfolio_id in ids:
        try:
            _cancel_in(portfolio_id, orders, reason)
        except Exception:  # one portfolio must not keep the others' orders in the market
            log.exception("cancelling_orders_failed", portfolio_id=str(portfolio_id))
    return len(ids)


@transaction.atomic
def _cancel_in(portfolio_id: uuid.UUID, orders: QuerySet[AutoTrade], reason: str) -> None:
    books = open_books([portfolio_id])
    trades = list(orders.filter(portfolio_id=portfolio_id).select_related("account"))
    events = request_cancels(trades, books=books, reason=reason)
    if reason in (CAME, COMES):
        events = told_of_split(events, trades, books=books)
    books.save()
    append(events)


def _overtaken(now: datetime) -> QuerySet[AutoTrade]:
    """Open orders decided before the ex time of a split of their instrument that market time has reached, whose cancel
    nobody has asked for yet."""
    splits = CorporateAction.objects.filter(
        kind=CorporateAction.Kind.SPLIT, instrument_id=OuterRef("instrument_id"), withdrawn_at=None,
        ex_at__gt=OuterRef("market_at"), ex_at__lte=now,
    )  # fmt: skip
    return open_orders().filter(Exists(splits))


def _at_hand(now: datetime) -> QuerySet[AutoTrade]:
    """The same before a split that is at hand, of accounts at real brokers."""
    return _at_real_brokers(splits_at_hand(now).values())


def _adjusted(now: datetime) -> QuerySet[AutoTrade]:
    """Buys there that would last beyond a dividend that is at hand, and have a limit."""
    dividends = actions_at_hand(now, CorporateAction.Kind.DIVIDEND)
    return _at_real_brokers(dividends.values()).filter(
        trade_type="buy", time_in_force=TimeInForce.GTC, order_type=OrderType.LIMIT
    )


def _at_real_brokers(instrument_ids: Iterable[int]) -> QuerySet[AutoTrade]:
    at_brokers = ~Q(account__broker=BrokerAccount.Broker.PAPER)
    return open_orders().filter(at_brokers, instrument_id__in=list(instrument_ids))


def open_orders() -> QuerySet[AutoTrade]:
    """Those whose cancel nobody has asked for."""
    states = [state.value for state in OPEN - {OrderState.CANCELLING}]
    return AutoTrade.objects.filter(status__in=states, cancel_requested_at=None)
