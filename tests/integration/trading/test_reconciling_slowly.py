"""A broker that takes its time: a reconciliation is left alone until it has ended; failed, it asks for less."""

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from foundation.clock import database_now
from portfolios.models import BrokerAccount
from tests.harness.at_broker import connect
from tests.harness.connected_to_simulator import KEY, connect_to_simulator, open_account
from tests.harness.scripted_stream import Venue, VenueBroker
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from trading.brokers.protocol import AskFailed
from trading.models import Reconciliation
from trading.services.reconciliation import AlreadyReconciling, reconcile

pytestmark = pytest.mark.integration
DEADLINE, LEASE = 2.0, 2.2
PAGE_SECONDS, PAGES = 1.3, 4
FILLS = (PAGES - 1) * 100 + 10  # Alpaca tells of a hundred on a page


@pytest.fixture
def slow(desk: Desk, simulator: Simulator, settings: Any) -> BrokerAccount:
    """Four pages of fills from just before it was connected, each told after more than a second."""
    settings.BROKER_DEADLINE_SECONDS, settings.BROKER_LEASE_SECONDS = DEADLINE, LEASE
    open_account(simulator)
    simulator.quotes(AAA=100)
    simulator.policy(delay=[0, 0], parts=[FILLS // 2, FILLS // 2], part_delay=[0, 0])
    for side in ("buy", "sell"):
        order = simulator.foreign_order(KEY, symbol="AAA", side=side, qty=FILLS // 2)
        _wait_for(lambda: not simulator.state()["accounts"][KEY]["open"], what=order)
    account = connect_to_simulator(desk, simulator, settings)
    simulator.misbehave("slow", endpoints=["fills"], seconds=PAGE_SECONDS)
    return account


def _wait_for(done: Any, *, what: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def refused_as_long_as_it_lasts(account: BrokerAccount, outcome: list[Reconciliation]) -> int:
    """How often somebody else was refused while a thread was reconciling."""

    def run() -> None:
        try:
            outcome.append(reconcile(account_id=account.pk, trigger="start"))
        finally:
            connection.close()

    thread, refused = threading.Thread(target=run), 0
    thread.start()
    _wait_for(lambda: Reconciliation.objects.exists(), what="it begins")
    while thread.is_alive():
        try:
            reconcile(account_id=account.pk, trigger="periodic")
        except AlreadyReconciling:
            refused += 1
        time.sleep(0.2)
    thread.join()
    return refused


def test_nobody_takes_over_while_the_pages_of_a_list_are_told(slow: BrokerAccount) -> None:
    """They take longer than its lease, which is renewed between them."""
    assert max(LEASE, 2 * DEADLINE) < PAGES * PAGE_SECONDS
    outcome: list[Reconciliation] = []
    assert refused_as_long_as_it_lasts(slow, outcome) > 10
    (done,) = outcome
    assert (done.failure, done.breaks) == ("", 0)
    assert Reconciliation.objects.filter(started_at__lte=done.finished_at).count() == 1


def test_what_was_too_much_is_not_asked_for_again_at_once(desk: Desk) -> None:
    """The hour has changed, so a day is asked for, which takes too long: then some minutes are, until that succeeds."""
    account, venue, now = connect(desk), Venue(), database_now()
    last = now - timedelta(hours=1)
    for at in (now - timedelta(days=9), last):
        row = Reconciliation.objects.create(account=account, trigger="periodic", finished_at=at)
        Reconciliation.objects.filter(pk=row.pk).update(started_at=at)
    asked: list[timedelta] = []

    class TakesTooLong(VenueBroker):
        def orders_since(self, since: datetime) -> Any:
            asked.append(last - since)
            if asked[-1] > timedelta(hours=1):
                raise AskFailed("the answers took too long together")
            return super().orders_since(since)

    def once() -> str:
        broker = TakesTooLong(lambda: venue)
        return reconcile(account_id=account.pk, trigger="periodic", broker=broker).failure

    assert [once(), once()] == ["AskFailed: the answers took too long together", ""]
    assert asked == [timedelta(days=1), timedelta(minutes=10)]
