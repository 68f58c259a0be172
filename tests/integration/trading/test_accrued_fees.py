"""Alpaca's cash is less the fees that a day's sales have accrued, hours before they are charged: that is no break."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from portfolios.models import BrokerAccount, LedgerTransfer, Portfolio
from portfolios.services.portfolios import create_portfolio
from tests.harness.alpaca_wire import account_document, alpaca_wire
from tests.harness.connected_to_simulator import KEY, SECRET, account_where_nothing_fills_by_itself
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk
from tests.harness.working import place
from trading.brokers.connections import broker_of
from trading.core.orders import MARKET_DAY
from trading.models import Halt, ReconciliationBreak
from trading.services.connecting import connect_account
from trading.services.reconciliation import reconcile
from trading.services.sending import send_due
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def account(desk: Desk, simulator: Simulator, settings: Any) -> Iterator[BrokerAccount]:
    """Of each share that is sold 2.3 cents are accrued."""
    yield from account_where_nothing_fills_by_itself(desk, simulator, settings, fee_per_unit="0.023")


def breaks(account: BrokerAccount) -> list[tuple[str, str]]:
    assert reconcile(account_id=account.pk, trigger="periodic").failure == ""
    return sorted(ReconciliationBreak.objects.filter(ended_at=None).values_list("kind", "key"))


def trades(desk: Desk, simulator: Simulator, side: str) -> None:
    trade = place(desk, MARKET_DAY, side=side, quantity=20)
    assert send_due() == 1
    simulator.fill(trade.client_order_id, price=100)


@pytest.fixture
def sold(desk: Desk, simulator: Simulator, account: BrokerAccount) -> Portfolio:
    """20 shares, at the price at which they were bought; looked at after each."""
    for side in ("buy", "sell"):
        trades(desk, simulator, side)
        assert breaks(account) == []
    return Portfolio.objects.get(pk=desk.portfolio.pk)


def test_from_the_sale_until_the_fee_is_charged_and_after_it_books_and_broker_agree(
    sold: Portfolio, simulator: Simulator, account: BrokerAccount
) -> None:
    with closing(broker_of(account)) as broker:
        told = broker.account()
    assert (told.cash, told.accrued, sold.cash) == (D("99999.54"), D("0.46"), D(100_000))
    assert breaks(account) == [] and not Halt.objects.exists()
    simulator.charge_fees(KEY)
    assert breaks(account) == [] and not Halt.objects.exists()
    (fee,) = LedgerTransfer.objects.filter(kind="broker_fee")
    assert (fee.amount, Portfolio.objects.get(pk=sold.pk).cash) == (D("0.46"), D("99999.54"))
    assert book_differences() == []


@pytest.mark.parametrize(
    ("moved", "agrees"), [("-0.02", False), ("0.20", True), ("0.46", True), ("0.48", False)]
)
def test_no_other_difference_is_hidden_by_it(
    sold: Portfolio, simulator: Simulator, account: BrokerAccount, moved: str, agrees: bool
) -> None:
    """None of it, some of it or all of it may be taken off already."""
    simulator.foreign_cash(KEY, moved)
    assert breaks(account) == ([] if agrees else [("cash", "USD")])


@pytest.mark.parametrize(("accrued", "cash"), [("0.113", "100000.363"), (None, "100000.25")])
def test_connecting_takes_what_is_accrued_with_the_cash_for_it_is_charged_and_booked_later(
    db: None, settings: Any, accrued: str | None, cash: str
) -> None:
    alice = get_user_model().objects.create_user("alice")
    portfolio = create_portfolio(name="Alice's", owner=alice)
    settings.CREDENTIAL_KEYS = {"test": b"k" * 32}
    with alpaca_wire() as server:
        account = (200, account_document(cash="100000.25", accrued_fees=accrued))
        server.routes |= {"/v2/account": account, "/v2/positions": (200, []), "/v2/orders": (200, [])}
        settings.ALPACA_PAPER_URL = server.url
        connect_account(
            portfolio_id=portfolio.id, broker="alpaca", is_live=False, key_id=KEY, secret=SECRET, actor=alice
        )
    portfolio.refresh_from_db()
    assert portfolio.cash == D(cash)
