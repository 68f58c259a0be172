"""The way from an account's row to its broker."""

from portfolios.models import BrokerAccount
from trading.brokers.protocol import Broker, NotConnected


def broker_of(account: BrokerAccount) -> Broker:
    """The account's broker; whoever makes it closes it. Raises NotConnected."""
    raise NotConnected(f"There is no connection to the broker {account.broker}.")
