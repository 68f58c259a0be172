"""Orders that work: placed through the services and taken to the state in which a broker would have them."""

from decimal import Decimal
from typing import Any

from django.db import transaction

from portfolios.models import BrokerAccount
from portfolios.services.books import open_books
from tests.harness.at_broker import connect
from tests.harness.trading import Desk
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.manual import place_trade
from trading.services.order_management import move

PENDING, SUBMITTING, ACCEPTED = OrderState.PENDING, OrderState.SUBMITTING, OrderState.ACCEPTED


def limit_at(price: Any, *, gtc: bool = False) -> OrderTerms:
    force = TimeInForce.GTC if gtc else TimeInForce.DAY
    return OrderTerms(order_type=OrderType.LIMIT, time_in_force=force, limit_price=Decimal(str(price)))


def stop_at(price: Any) -> OrderTerms:
    return OrderTerms(
        order_type=OrderType.STOP, time_in_force=TimeInForce.GTC, stop_price=Decimal(str(price))
    )


def place(
    desk: Desk, terms: OrderTerms, *, side: str = "buy", quantity: Any = 10, symbol: str = "AAA"
) -> AutoTrade:
    return place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=Decimal(quantity), actor=desk.owner,
        terms=terms,
    )  # fmt: skip


def works(trade: AutoTrade, *then: str) -> AutoTrade:
    """As accepted by its broker, or in the state at the end of the path that follows `submitting`."""
    trade.refresh_from_db()
    assert move([trade], PENDING, SUBMITTING, *(then or (ACCEPTED,))) == [trade]
    return trade


@transaction.atomic
def fill(trade: AutoTrade, quantity: Any, price: Any, *path: str, execution_id: str = "one") -> None:
    """What a broker reports of it is booked; `path` leads from its state."""
    trade = AutoTrade.objects.select_related("account").get(pk=trade.pk)
    books = open_books([trade.portfolio_id])
    reported = ReportedFill(
        trade=trade, execution_id=execution_id, quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(0),
        market_at=trade.market_at, path=path,
    )  # fmt: skip
    book_fills([reported], books=books)
    books.save()


def at_alpaca(desk: Desk, **account: Any) -> BrokerAccount:
    """The desk's account is one at a real broker, with keys that nobody can use."""
    row = connect(desk)
    for name, value in account.items():
        setattr(row, name, value)
    row.save()
    desk.portfolio.refresh_from_db()
    return row
