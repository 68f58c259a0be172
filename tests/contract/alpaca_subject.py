"""The Alpaca adapter, speaking over real sockets to the simulated broker that behaves."""

import time
from decimal import Decimal
from typing import Any

from tests.contract.subject import START_PRICE, Subject
from tests.harness.simulator import Simulator
from trading.brokers.protocol import Broker, OrderTicket
from trading.core.orders import MARKET_DAY, OrderTerms

KEY, SECRET = "CONTRACT", "a-secret-of-the-contract"
CASH = Decimal(100_000)


class AlpacaSubject(Subject):
    """`make_broker(base_url=, key_id=, secret=, account_number=)` gives the adapter."""

    def __init__(self, simulator: Simulator, make_broker: Any) -> None:
        self._simulator = simulator
        number = simulator.account(KEY, secret=SECRET, cash=CASH)
        self.move_price(START_PRICE)
        self.broker: Broker = make_broker(
            base_url=simulator.base_url, key_id=KEY, secret=SECRET, account_number=number
        )

    def ticket(
        self,
        client_order_id: str,
        *,
        side: str = "buy",
        quantity: Decimal = Decimal(10),
        terms: OrderTerms = MARKET_DAY,
    ) -> OrderTicket:
        return OrderTicket(client_order_id, self.symbol, side, quantity, terms)

    def impossible_ticket(self, client_order_id: str) -> OrderTicket:
        return self.ticket(client_order_id, quantity=CASH)

    def move_price(self, price: Decimal) -> None:
        self._simulator.quotes({self.symbol: price})

    def charge(self, amount: Decimal) -> None:
        self._simulator.activity(KEY, "FEE", -amount, description="TAF fee for proceed of 10 shares")

    def settle(self) -> None:
        time.sleep(0.02)
