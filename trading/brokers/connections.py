"""The way from an account's row to its broker."""

from portfolios.models import BrokerAccount
from trading.brokers.protocol import Capabilities, NotConnected
from trading.core.orders import OrderType, TimeInForce

PAPER_CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    fractional=True,
    replaces=False,
    streams=False,
    has_network=False,
)
ALPACA_CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    fractional=False,
    replaces=False,
    streams=True,
    has_network=True,
)
_CAPABILITIES = {
    BrokerAccount.Broker.PAPER: PAPER_CAPABILITIES,
    BrokerAccount.Broker.ALPACA: ALPACA_CAPABILITIES,
}


def capabilities_of(account: BrokerAccount) -> Capabilities:
    """Without network and without keys. Raises NotConnected for a broker that is none of ours."""
    try:
        return _CAPABILITIES[BrokerAccount.Broker(account.broker)]
    except ValueError:
        raise NotConnected(f"There is no broker {account.broker}.") from None
