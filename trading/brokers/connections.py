"""The way from an account's row to its broker.

A paper account always speaks to ALPACA_PAPER_URL and a live one to ALPACA_LIVE_URL; which one is never guessed from the
keys. Live is refused unless this installation allows it, whatever the row says: nothing is sent and nothing connected.
What works there already is still cancelled, asked for and followed: who takes the setting away wants it stopped, not
forgotten.
"""

from functools import partial

from django.conf import settings

from foundation.errors import DomainError
from portfolios.models import BrokerAccount
from portfolios.services.credentials import ApiKeys, open_credentials
from trading.brokers.alpaca.broker import CAPABILITIES as ALPACA_CAPABILITIES
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.paper_capabilities import PAPER_CAPABILITIES
from trading.brokers.protocol import Broker, Capabilities, NotConnected

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


def rejects_opposites(account: BrokerAccount) -> bool:
    """Whether its broker rejects orders beside own ones on the other side by their types; not for one that is none of
    ours, where nothing can be sent."""
    return account.broker in _CAPABILITIES and capabilities_of(account).rejects_opposites


def broker_of(account: BrokerAccount) -> Broker:
    """The account's broker; whoever makes it closes it. Opens no connection yet.

    Raises NotConnected with a sentence that says what to do.
    """
    if account.broker == BrokerAccount.Broker.ALPACA:
        if not account.account_number:
            raise NotConnected("The account's number at Alpaca is not known: connect it again.")
        try:
            keys = open_credentials(account=account)
        except DomainError as error:
            raise NotConnected(error.detail) from None
        return _alpaca(is_live=account.is_live, keys=keys, account_number=account.account_number)
    if account.broker == BrokerAccount.Broker.PAPER:
        raise NotConnected("The paper market is not reached over a connection: its batch fills its orders.")
    raise NotConnected(f"There is no broker {account.broker}.")


def alpaca_broker(*, is_live: bool, keys: ApiKeys) -> AlpacaBroker:
    """To find out an account's number, while it is being connected. Raises NotConnected."""
    require_live_allowed(is_live=is_live)
    return _alpaca(is_live=is_live, keys=keys, account_number="")


def _alpaca(*, is_live: bool, keys: ApiKeys, account_number: str) -> AlpacaBroker:
    return AlpacaBroker(
        base_url=settings.ALPACA_LIVE_URL if is_live else settings.ALPACA_PAPER_URL,
        keys=keys,
        account_number=account_number,
        deadline_seconds=settings.BROKER_DEADLINE_SECONDS,
        require_allowed=partial(require_live_allowed, is_live=is_live),
    )


def require_live_allowed(*, is_live: bool) -> None:
    """Raises NotConnected for real money where the installation does not allow it."""
    if is_live and not settings.ALLOW_LIVE_TRADING:
        raise NotConnected(
            "Real money is not allowed in this installation: set ALLOW_LIVE_TRADING=1 and restart."
        )
