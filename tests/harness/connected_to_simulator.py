"""A portfolio whose account is one at the broker's simulator, spoken to by the product's own adapter."""

from collections.abc import Iterator
from typing import Any

from foundation.clock import database_now
from portfolios.models import BrokerAccount
from portfolios.services.credentials import ApiKeys, seal_credentials
from tests.harness.at_broker import connect
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from trading.services import held_brokers

KEY, SECRET, NUMBER = "PKSIMULATOR000000001", "secret-of-the-simulator-000000000000000001", "PA000000001"


def open_account(simulator: Simulator, **more: Any) -> None:
    """At the simulator, with as much cash as a desk has."""
    simulator.account(KEY, secret=SECRET, cash=100_000, number=NUMBER, **more)


def connect_to_simulator(desk: Desk, simulator: Simulator, settings: Any) -> BrokerAccount:
    """The desk's account is that one as of now."""
    settings.ALPACA_PAPER_URL, settings.CREDENTIAL_KEYS = simulator.base_url, {"test": b"k" * 32}
    account = connect(desk, account_number=NUMBER)
    account.connected_at = database_now()
    account.save()
    seal_credentials(account=account, keys=ApiKeys(key_id=KEY, secret=SECRET), actor=desk.owner)
    return account


def account_where_nothing_fills_by_itself(
    desk: Desk, simulator: Simulator, settings: Any, **more: Any
) -> Iterator[BrokerAccount]:
    """For a fixture: connected, AAA at 100; what is sent there waits until the test fills it."""
    open_account(simulator, **more)
    simulator.quotes(AAA=100)
    simulator.policy(hold=True)
    held_brokers.let_all_go()
    yield connect_to_simulator(desk, simulator, settings)
    held_brokers.let_all_go()
