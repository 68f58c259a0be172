"""Cash at a broker that books each fill in whole cents: what that adds up to is no difference, and nothing more."""

from collections.abc import Iterator
from typing import Any

import pytest

from portfolios.models import BrokerAccount
from tests.harness.connected_to_simulator import (
    KEY,
    account_where_nothing_fills_by_itself,
)
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from tests.harness.working import place
from tests.integration.trading.steps import risk_officer
from trading.core.orders import MARKET_DAY
from trading.models import Halt, ReconciliationBreak
from trading.services.breaks import explain_break
from trading.services.emergency_stop import release
from trading.services.reconciliation import reconcile
from trading.services.sending import send_due
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


@pytest.fixture
def account(desk: Desk, simulator: Simulator, settings: Any) -> Iterator[BrokerAccount]:
    yield from account_where_nothing_fills_by_itself(desk, simulator, settings)


def buy_four(desk: Desk, simulator: Simulator) -> None:
    """One after the other, at 100.004; the broker keeps the four tenths of a cent of each."""
    trade = place(desk, MARKET_DAY, quantity=4)
    assert send_due() == 1
    for _ in range(4):
        simulator.fill(trade.client_order_id, quantity=1, price="100.004")
    simulator.foreign_cash(KEY, "0.016")


def breaks(account: BrokerAccount) -> list[tuple[str, str]]:
    assert reconcile(account_id=account.pk, trigger="periodic").failure == ""
    return sorted(ReconciliationBreak.objects.filter(ended_at=None).values_list("kind", "key"))


def test_what_the_rounding_of_its_fills_adds_up_to_is_no_break(
    desk: Desk, simulator: Simulator, account: BrokerAccount
) -> None:
    buy_four(desk, simulator)
    assert breaks(account) == []
    simulator.foreign_cash(KEY, "0.02")
    assert breaks(account) == [("cash", "USD")]
    assert book_differences() == []


def test_an_explained_difference_stays_explained_while_rounding_adds_up(
    desk: Desk, simulator: Simulator, account: BrokerAccount
) -> None:
    bob = risk_officer(desk)
    simulator.foreign_cash(KEY, 5)
    assert breaks(account) == [("cash", "USD")]
    explain_break(break_id=ReconciliationBreak.objects.get().pk, explanation="Interest", actor=bob)
    release(halt_id=Halt.objects.get().pk, actor=bob)
    buy_four(desk, simulator)
    assert breaks(account) == []
