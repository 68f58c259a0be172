"""A broker that is held against the contract: the broker itself, and what a test does to its market.

To plug in a broker, write a `Subject` of it, and give a fixture that makes one to `SUBJECTS` in conftest.py.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal

from trading.brokers.protocol import Broker as BrokerProtocol
from trading.brokers.protocol import BrokerOrder, OrderTicket
from trading.core.order_states import FINAL
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce

WAIT_SECONDS = 10.0
START_PRICE = Decimal(100)
FAR_BELOW = OrderTerms(OrderType.LIMIT, TimeInForce.GTC, limit_price=Decimal(50))
"""a limit order to buy that rests in the market"""


class Subject(ABC):
    """An account of at least 50,000 in cash and nothing else, at a market where `symbol` stands at 100."""

    broker: BrokerProtocol
    symbol = "AAPL"

    @abstractmethod
    def ticket(
        self,
        client_order_id: str,
        *,
        side: str = "buy",
        quantity: Decimal = Decimal(10),
        terms: OrderTerms = MARKET_DAY,
    ) -> OrderTicket:
        """A ticket that the broker may be sent; whatever must exist for it, exists when this returns."""

    @abstractmethod
    def impossible_ticket(self, client_order_id: str) -> OrderTicket:
        """One that the broker has to reject."""

    @abstractmethod
    def move_price(self, price: Decimal) -> None:
        """`symbol` stands at about this price now, for buyers and sellers."""

    @abstractmethod
    def settle(self) -> None:
        """Let the market go on for a moment."""

    def charge(self, amount: Decimal) -> None:
        """A fee that is of no order, at a broker that declares activities."""
        raise NotImplementedError

    def close(self) -> None:
        self.broker.close()

    # what behaviours say often

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"after {WAIT_SECONDS} s it is not so that {what}"
            self.settle()

    def order(self, client_order_id: str) -> BrokerOrder:
        order = self.broker.order_by_client_id(client_order_id)
        assert order is not None, f"{client_order_id} is not at the broker"
        return order

    def final(self, client_order_id: str) -> BrokerOrder:
        """The order once nothing more becomes of it."""
        self.until(lambda: self.order(client_order_id).state in FINAL, f"{client_order_id} has ended")
        return self.order(client_order_id)
