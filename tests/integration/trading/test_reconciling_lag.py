"""A fill that the broker's positions show and its list of fills does not yet is no difference, for a bounded time."""

import time
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
from trading.core.orders import MARKET_DAY
from trading.models import Execution, Halt, ReconciliationBreak
from trading.services.reconciliation import reconcile
from trading.services.sending import send_due
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


@pytest.fixture
def account(desk: Desk, simulator: Simulator, settings: Any) -> Iterator[BrokerAccount]:
    yield from account_where_nothing_fills_by_itself(desk, simulator, settings)


def fill_unlisted(desk: Desk, simulator: Simulator, *, seconds: float) -> None:
    """Ten are bought, which the list of fills tells of so many seconds later. The stream is not followed."""
    simulator.misbehave("lists_late", seconds=seconds)
    trade = place(desk, MARKET_DAY, quantity=10)
    assert send_due() == 1
    simulator.fill(trade.client_order_id)


def breaks(account: BrokerAccount) -> list[tuple[str, str]]:
    assert reconcile(account_id=account.pk, trigger="periodic").failure == ""
    return sorted(ReconciliationBreak.objects.filter(ended_at=None).values_list("kind", "key"))


def test_a_fill_that_is_not_listed_yet_is_awaited(
    desk: Desk, simulator: Simulator, account: BrokerAccount
) -> None:
    fill_unlisted(desk, simulator, seconds=30)
    assert (breaks(account), desk.held("AAA")) == ([], 0)
    simulator.behave()
    assert (breaks(account), desk.held("AAA")) == ([], 10)
    assert not Halt.objects.exists() and book_differences() == []


def test_a_fill_that_is_never_listed_is_a_difference_once_it_should_be(
    desk: Desk, simulator: Simulator, account: BrokerAccount, settings: Any
) -> None:
    settings.BROKER_SETTLE_SECONDS = 1
    fill_unlisted(desk, simulator, seconds=600)
    time.sleep(1.1)
    assert breaks(account) == [("cash", "USD"), ("position", "AAA")]
    assert Halt.objects.filter(scope="account", mode="halt", released_at=None).exists()


def test_it_hides_no_other_number_of_units(desk: Desk, simulator: Simulator, account: BrokerAccount) -> None:
    fill_unlisted(desk, simulator, seconds=30)
    simulator.foreign_position(KEY, symbol="AAA", qty=1)
    assert breaks(account) == [("position", "AAA")]


def test_what_somebody_else_holds_is_a_difference_at_once(
    desk: Desk, simulator: Simulator, account: BrokerAccount
) -> None:
    fill_unlisted(desk, simulator, seconds=0)
    simulator.foreign_cash(KEY, 5)
    assert breaks(account) == [("cash", "USD")] and Execution.objects.count() == 1
