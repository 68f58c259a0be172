"""The paper market, whose orders are our own intents: a ticket is of a pending trade that stands in the books."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from market.models import Instrument
from portfolios.models import BrokerAccount
from tests.contract.subject import Subject
from tests.harness.trading import Desk, Market
from trading.brokers.protocol import Broker, OrderTicket
from trading.core.orders import MARKET_DAY, OrderTerms
from trading.models import AutoTrade
from trading.services.trade_execution import execute_pending

PARTS = Decimal("0.001")


class PaperSubject(Subject):
    """`make_broker` gives the broker of an account; `place` a pending trade of a desk, as tests.harness.paper.order."""

    symbol = "AAA"

    def __init__(self, make_broker: Callable[[BrokerAccount], Broker], place: Any) -> None:
        self._market = Market()
        Instrument.objects.filter(symbol=self.symbol).update(lot_size=PARTS)
        self._market.tick()
        self._desk = Desk.open(self._market)
        self._place = place
        self.broker = make_broker(BrokerAccount.objects.get(portfolio=self._desk.portfolio))

    def ticket(
        self,
        client_order_id: str,
        *,
        side: str = "buy",
        quantity: Decimal = Decimal(10),
        terms: OrderTerms = MARKET_DAY,
    ) -> OrderTicket:
        trade = self._place(
            self._desk,
            side,
            quantity,
            self.symbol,
            order_type=str(terms.order_type),
            time_in_force=str(terms.time_in_force),
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
            trail_percentage=terms.trail_percentage,
        )
        AutoTrade.objects.filter(pk=trade.pk).update(client_order_id=client_order_id)
        return OrderTicket(client_order_id, self.symbol, side, quantity, terms)

    def impossible_ticket(self, client_order_id: str) -> OrderTicket:
        """Of no intent."""
        return OrderTicket(client_order_id, self.symbol, "buy", Decimal(10), MARKET_DAY)

    def move_price(self, price: Decimal) -> None:
        self._market.tick(**{self.symbol: float(price)})

    def settle(self) -> None:
        self._market.tick()
        execute_pending()
