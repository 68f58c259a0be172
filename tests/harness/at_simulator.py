"""Alice's portfolio at the broker simulator: the real adapter, over real sockets, to a process of its own."""

from collections.abc import Iterator

import pytest

from portfolios.models import BrokerAccount
from portfolios.services.credentials import ApiKeys
from tests.harness.at_broker import connect
from tests.harness.simulator import Simulator
from tests.harness.trading import SYMBOLS, Desk
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.models import Reconciliation, ReconciliationBreak
from trading.services import held_brokers, reconciliation, reconciling_holdings
from trading.services.reconciliation import reconcile

KEY, SECRET = "ALICE", "secret"


class AtSimulator:
    """One portfolio; nothing there is filled unless the test says so."""

    def __init__(self, desk: Desk, simulator: Simulator) -> None:
        self.desk, self.simulator = desk, simulator
        self.account_number = simulator.account(KEY, secret=SECRET)
        self.account = connect(desk, account_number=self.account_number)
        simulator.quotes(dict.fromkeys(SYMBOLS, "100"))
        simulator.policy(hold=True)

    def broker(self, account: BrokerAccount) -> AlpacaBroker:
        assert account.pk == self.account.pk
        return AlpacaBroker(
            base_url=self.simulator.base_url, keys=ApiKeys(key_id=KEY, secret=SECRET),
            account_number=self.account_number, deadline_seconds=5.0,
        )  # fmt: skip

    def reconcile(self) -> Reconciliation:
        return reconcile(account_id=self.account.pk, trigger="periodic")

    def breaks(self) -> list[tuple[str, str]]:
        """(kind, key) of those that are open."""
        rows = ReconciliationBreak.objects.filter(account=self.account, ended_at=None)
        return sorted(rows.values_list("kind", "key"))


@pytest.fixture
def at_simulator(desk: Desk, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtSimulator]:
    scene = AtSimulator(desk, simulator)
    monkeypatch.setattr(held_brokers, "broker_of", scene.broker)
    monkeypatch.setattr(reconciliation, "broker_of", scene.broker)
    monkeypatch.setattr(reconciling_holdings, "SECOND_LOOK_SECONDS", 0.0)
    held_brokers.let_all_go()
    yield scene
    held_brokers.let_all_go()
