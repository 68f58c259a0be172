"""From an account to its broker."""

from portfolios.models import BrokerAccount
from trading.brokers.protocol import Broker, NotConnected


def broker_of(account: BrokerAccount) -> Broker:
    """The broker behind an account, with its credentials opened; the caller closes it. Raises NotConnected."""
    raise NotConnected(f"No connection to {account.broker} is known.")
