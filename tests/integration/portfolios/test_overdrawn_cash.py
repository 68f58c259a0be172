"""Fills at a real broker may cost more than there is. What it pays and takes then is booked all the same."""

from decimal import Decimal

import pytest
from django.db import connection, transaction

from foundation.errors import Conflict
from portfolios.models import LedgerTransfer
from portfolios.services.broker_cash import book_broker_cash
from tests.harness.trading import Market
from tests.integration.portfolios.conftest import Holder
from trading.services.verification_queries import CHECKS

pytestmark = [pytest.mark.integration]
Kind = LedgerTransfer.Kind


@pytest.fixture
def overdrawn(db: None) -> Holder:
    """By 50."""
    market = Market()
    market.tick()
    holder = Holder.open(market, cash=1000)
    holder.fill("buy", 21, 50)
    assert holder.portfolio.cash == -50
    return holder


@transaction.atomic
def told(holder: Holder, kind: LedgerTransfer.Kind, amount: str) -> Decimal:
    """The cash after it."""
    return book_broker_cash(
        portfolio_id=holder.portfolio_id, kind=kind, amount=Decimal(amount), memo="told"
    ).cash


def is_in_the_ledger() -> bool:
    with connection.cursor() as cursor:
        for check in ("cash = Σ ledger", "paid in = Σ ledger"):
            cursor.execute(CHECKS[check], [])
            assert cursor.fetchall() == []
    return True


def test_what_is_paid_in_need_not_cover_all(overdrawn: Holder) -> None:
    assert told(overdrawn, Kind.DIVIDEND, "30") == -20
    assert told(overdrawn, Kind.DEPOSIT, "10") == -10
    assert (overdrawn.portfolio.paid_in, overdrawn.portfolio.cash) == (1010, -10)
    assert told(overdrawn, Kind.DEPOSIT, "15") == 5
    assert is_in_the_ledger()


def test_a_fee_is_taken_of_nothing_too(overdrawn: Holder) -> None:
    assert told(overdrawn, Kind.BROKER_FEE, "-0.27") == Decimal("-50.27")
    assert is_in_the_ledger()


def test_cash_that_was_there_is_not_overdrawn_by_it(overdrawn: Holder) -> None:
    told(overdrawn, Kind.DEPOSIT, "55")
    with pytest.raises(Conflict, match="cannot hold"):
        told(overdrawn, Kind.WITHDRAWAL, "-5.01")
    assert told(overdrawn, Kind.WITHDRAWAL, "-5") == 0


@pytest.mark.parametrize("amount", ["1000000000050", "-999999999950"])
def test_the_books_have_an_end_on_either_side(overdrawn: Holder, amount: str) -> None:
    with pytest.raises(Conflict, match="cannot hold"):
        told(overdrawn, Kind.DEPOSIT if Decimal(amount) > 0 else Kind.WITHDRAWAL, amount)
