"""Corrections by reversal of what the portfolios' room books itself: money, dividends, splits."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from foundation.errors import Conflict, InvalidInput, NotFound
from journal.models import Entry
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import CorporateActionBooking, LedgerTransfer, PortfolioMark, PositionMark
from portfolios.services.corporate_actions import apply_corporate_action, book_due_actions
from portfolios.services.corrections import reverse_entry
from portfolios.services.portfolios import deposit, withdraw
from tests.harness.trading import Market
from tests.integration.portfolios.conftest import Holder
from trading.services.replaying import replay_differences

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
D = Decimal


@pytest.fixture
def market() -> Market:
    made = Market()
    made.tick()
    return made


@pytest.fixture
def alice(market: Market) -> Holder:
    """She has paid in 1000 and holds nothing."""
    return Holder.open(market, cash=1000)


def last_entry(holder: Holder, **wanted: Any) -> uuid.UUID:
    return LedgerTransfer.objects.filter(portfolio_id=holder.portfolio_id, **wanted).latest("id").entry_id


def reverse(holder: Holder, **wanted: Any) -> uuid.UUID:
    entry_id = last_entry(holder, **wanted)
    return reverse_entry(portfolio_id=holder.portfolio_id, entry_id=entry_id, actor=None, reason="a mistake")


def action_of(holder: Holder, **facts: Any) -> None:
    ex_at = holder.market.as_of + timedelta(minutes=1)
    action, _ = record(
        NewCorporateAction(external_id=str(uuid.uuid4()), symbol="AAA", ex_at=ex_at, **facts), actor=None
    )
    holder.market.tick()
    assert apply_corporate_action(action.id).booked == 1


def test_a_reversed_deposit_is_mirrored_and_moves_the_marks(alice: Holder) -> None:
    day = alice.market.as_of.date()
    PortfolioMark.objects.create(
        portfolio_id=alice.portfolio_id, day=day, day_open_equity=1000, peak_equity=1000
    )
    deposit(portfolio_id=alice.portfolio_id, amount=D(50), actor=None)
    made = reverse(alice, kind="deposit")
    row = LedgerTransfer.objects.get(entry_id=made)
    assert (row.kind, row.debit_account, row.credit_account, row.amount) == (
        "reversal", "capital", "cash", D(50),
    )  # fmt: skip
    assert (row.reverses.amount, row.memo) == (D(50), "a mistake")
    mark = PortfolioMark.objects.get()
    assert (alice.portfolio.cash, mark.day_open_equity, mark.peak_equity) == (1000, 1000, 1000)
    event = Entry.objects.filter(stream_id=alice.portfolio_id).latest("seq")
    assert event.kind == "entry.reversed" and "a mistake" in event.payload
    assert list(replay_differences()) == []


def test_a_reversed_withdrawal_comes_back(alice: Holder) -> None:
    withdraw(portfolio_id=alice.portfolio_id, amount=D(400), actor=None)
    reverse(alice, kind="withdrawal")
    assert alice.portfolio.cash == 1000
    assert list(replay_differences()) == []


def test_no_entry_is_reversed_twice_and_no_reversal_at_all(alice: Holder) -> None:
    deposit(portfolio_id=alice.portfolio_id, amount=D(50), actor=None)
    entry_id = last_entry(alice)
    made = reverse(alice, kind="deposit")
    for wrong, code in ((entry_id, "already_reversed"), (made, "is_a_reversal")):
        with pytest.raises(Conflict) as caught:
            reverse_entry(portfolio_id=alice.portfolio_id, entry_id=wrong, actor=None, reason="again")
        assert caught.value.code == code
    assert alice.portfolio.cash == 1000


def test_the_database_keeps_a_transfer_from_being_reversed_twice(alice: Holder) -> None:
    row = LedgerTransfer.objects.get()
    mirror = {
        "entry_id": uuid.uuid4(), "portfolio_id": alice.portfolio_id, "debit_account": "capital",
        "credit_account": "cash", "asset": "USD", "amount": D(1000),
    }  # fmt: skip
    with pytest.raises(IntegrityError, match="transfer_reversal_names_what"), transaction.atomic():
        LedgerTransfer.objects.create(**mirror, kind="reversal")
    with pytest.raises(IntegrityError, match="transfer_reversal_names_what"), transaction.atomic():
        LedgerTransfer.objects.create(**mirror, kind="withdrawal", reverses=row)
    LedgerTransfer.objects.create(**mirror, kind="reversal", reverses=row)
    with pytest.raises(IntegrityError, match="reverses"), transaction.atomic():
        LedgerTransfer.objects.create(**mirror, kind="reversal", reverses=row)


@pytest.mark.parametrize(("reserved", "possible"), [("500", True), ("500.01", False)])
def test_reserved_cash_is_not_taken(alice: Holder, reserved: str, possible: bool) -> None:
    deposit(portfolio_id=alice.portfolio_id, amount=D(50), actor=None)
    withdraw(portfolio_id=alice.portfolio_id, amount=D(500), actor=None)
    alice.reserve(cash=reserved)
    if possible:
        reverse(alice, kind="deposit", amount=50)
    else:
        with pytest.raises(Conflict, match="cancel working orders"):
            reverse(alice, kind="deposit", amount=50)


def test_a_reversed_dividend_is_no_profit_any_more(alice: Holder) -> None:
    alice.fill("buy", 10, 50)
    action_of(alice, kind="dividend", amount=D(2))
    assert alice.portfolio.realised_pnl == 20
    reverse(alice, kind="dividend")
    assert (alice.portfolio.cash, alice.portfolio.realised_pnl) == (500, 0)
    assert CorporateActionBooking.objects.get().reversed_at is not None
    assert book_due_actions() == 0, "and it is not booked again"
    assert list(replay_differences()) == []


def test_a_reversed_split_gives_everything_back(alice: Holder) -> None:
    alice.fill("buy", 7, 50)
    position = alice.position()
    PositionMark.objects.create(position=position, opened_at=position.opened_at, peak_price=60)
    action_of(alice, kind="split", new_units=3, old_units=2, cash_in_lieu_price=D(40))
    assert (alice.position().quantity, alice.portfolio.cash) == (10, 670)
    reverse(alice, kind="split")
    after = alice.position()
    assert (after.quantity, after.cost, after.realised_pnl) == (7, 350, 0)
    assert (alice.portfolio.cash, alice.portfolio.realised_pnl) == (650, 0)
    assert PositionMark.objects.get().peak_price == 60
    assert list(replay_differences()) == []


def test_a_split_of_what_was_sold_since_is_not_reversed(alice: Holder) -> None:
    alice.fill("buy", 7, 50)
    action_of(alice, kind="split", new_units=2, old_units=1)
    alice.fill("sell", 8, 25)
    with pytest.raises(Conflict) as caught:
        reverse(alice, kind="split")
    assert caught.value.code == "units_not_free"
    order = alice.reserve(cash=100)
    with pytest.raises(Conflict) as caught:
        reverse(alice, kind="split")
    assert caught.value.code == "order_working"
    alice.release(order)


def test_a_fill_is_its_trades_to_reverse(alice: Holder) -> None:
    alice.fill("buy", 7, 50)
    with pytest.raises(Conflict) as caught:
        reverse(alice, kind="fill")
    assert caught.value.code == "reverse_the_execution"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_a_reversal_says_why(alice: Holder, reason: str) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        reverse_entry(portfolio_id=alice.portfolio_id, entry_id=last_entry(alice), actor=None, reason=reason)


def test_an_entry_of_another_portfolio_is_not_found(alice: Holder, market: Market) -> None:
    bob = Holder.open(market, name="Bob's")
    with pytest.raises(NotFound):
        reverse_entry(portfolio_id=alice.portfolio_id, entry_id=last_entry(bob), actor=None, reason="x")
