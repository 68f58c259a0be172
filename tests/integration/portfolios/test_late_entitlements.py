"""Who becomes entitled to a corporate action after it was booked, and whose entitlement changes, gets what is right."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from foundation.clock import database_now
from foundation.errors import Conflict
from market.models import CorporateAction
from market.services.corporate_actions import withdraw
from portfolios.models import CorporateActionBooking, CorporateActionSettlement, LedgerTransfer
from portfolios.selectors import unsettled_splits
from portfolios.services.corporate_actions import Applied, apply_corporate_action, book_due_actions
from tests.harness.trading import Market
from tests.integration.portfolios.conftest import Holder, dividend, split
from trading.services.verification_queries import CHECKS

pytestmark = [pytest.mark.integration]
D = Decimal


@pytest.fixture
def market(db: None) -> Market:
    made = Market()
    made.tick()
    return made


@pytest.fixture
def alice(market: Market) -> Holder:
    holder = Holder.open(market)
    holder.fill("buy", 100, 50)
    return holder


def finish(action: CorporateAction) -> None:
    """Nobody looks for fills on their way any more."""
    book_due_actions()
    CorporateActionSettlement.objects.filter(action=action).update(
        began_at=database_now() - timedelta(hours=2)
    )
    book_due_actions()
    assert CorporateActionSettlement.objects.get(action=action).finished_at is not None


def dividends(holder: Holder) -> list[Decimal]:
    rows = LedgerTransfer.objects.filter(portfolio_id=holder.portfolio_id, kind="dividend", reversed_by=None)
    return list(rows.order_by("id").values_list("amount", flat=True))


def found_by(check: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(CHECKS[check], [])
        return len(cursor.fetchall())


def test_units_that_come_back_after_the_end_are_split(alice: Holder, market: Market) -> None:
    """Sold before the ex time, and the sell is reversed long after everybody else has been split."""
    alice.fill("sell", 100, 50)
    action = split(market, 2, 1)
    finish(action)
    alice.take_back_fill("sell")
    assert unsettled_splits() == {(alice.portfolio_id, alice.position().instrument_id)}
    assert apply_corporate_action(action.id) == Applied(booked=1, waiting=0)
    assert (alice.position().quantity, alice.position().cost) == (200, 5000)
    assert unsettled_splits() == frozenset()
    assert found_by("nobody is left out of a corporate action") == 0


def test_units_that_come_back_after_the_end_get_their_dividend(alice: Holder, market: Market) -> None:
    alice.fill("sell", 100, 50)
    finish(dividend(market))
    alice.take_back_fill("sell")
    assert book_due_actions() == 1, "the sweep finds it by itself"
    assert dividends(alice) == [25]


def test_what_ended_without_an_entitled_holder_is_named_and_cured(alice: Holder, market: Market) -> None:
    """Whatever the reason: the command books it all the same."""
    action = split(market, 2, 1)
    CorporateActionSettlement.objects.create(action=action, finished_at=database_now())
    assert found_by("nobody is left out of a corporate action") == 1
    assert apply_corporate_action(action.id) == Applied(booked=1, waiting=0)
    assert CorporateActionSettlement.objects.get().finished_at is None, "it looks for so long again"


@pytest.mark.parametrize("kind", ["dividend", "split"])
def test_a_fill_of_before_is_reversed_after_the_action(alice: Holder, market: Market, kind: str) -> None:
    """Else the dividend would be that of a quantity which was never held."""
    alice.fill("sell", 40, 50)
    _ = dividend(market) if kind == "dividend" else split(market, 2, 1)
    book_due_actions()
    with pytest.raises(Conflict, match="reverse entry") as caught:
        alice.take_back_fill("sell")
    assert caught.value.code == f"{kind}_since"
    finish(CorporateAction.objects.get())
    alice.take_back(kind)
    assert book_due_actions() == 0, "what was reversed is not booked again as it was"
    in_old_units = {(alice.portfolio_id, alice.position().instrument_id)} if kind == "split" else set()
    assert unsettled_splits() == in_old_units
    alice.take_back_fill("sell")
    assert book_due_actions() == 1, "but for what is entitled now"
    assert CorporateActionBooking.objects.get(booked_at__isnull=False, reversed_at=None).quantity == 100
    assert (dividends(alice), alice.position().quantity) == (
        ([25], 100) if kind == "dividend" else ([], 200)
    )  # fmt: skip
    assert found_by("entitlements are what was held") == 0
    assert unsettled_splits() == frozenset()


def test_who_has_nothing_left_of_it_keeps_no_split_open(alice: Holder, market: Market) -> None:
    action = split(market, 2, 1)
    finish(action)
    alice.take_back("split")
    book_due_actions()
    assert CorporateActionSettlement.objects.get().finished_at is None
    assert unsettled_splits() == {(alice.portfolio_id, alice.position().instrument_id)}
    alice.take_back_fill("buy")
    finish(action)
    assert (alice.position().quantity, unsettled_splits()) == (0, frozenset())


def test_a_fill_at_the_ex_time_is_reversed_freely(alice: Holder, market: Market) -> None:
    action = dividend(market)
    assert market.as_of == action.ex_at
    book_due_actions()
    alice.fill("sell", 40, 50)
    alice.take_back_fill("sell")
    assert (alice.position().quantity, dividends(alice)) == (100, [25])


def test_a_fill_that_comes_after_its_dividend_is_named_and_cured(alice: Holder, market: Market) -> None:
    dividend(market)
    book_due_actions()
    market.as_of -= timedelta(minutes=1)
    alice.fill("buy", 20, 50)
    assert book_due_actions() == 0
    assert found_by("entitlements are what was held") == 1
    alice.take_back("dividend")
    assert book_due_actions() == 1
    assert dividends(alice) == [30]
    assert found_by("entitlements are what was held") == 0


def test_too_few_to_be_paid_for_may_become_enough(alice: Holder, market: Market) -> None:
    """0.004 on one unit is nothing, on 101 units 0.40."""
    alice.fill("sell", 99, 50)
    dividend(market, "0.004")
    book_due_actions()
    assert dividends(alice) == []
    alice.take_back_fill("sell")
    assert book_due_actions() == 1
    assert dividends(alice) == [D("0.40")]


def test_a_split_by_which_no_unit_moves_has_no_entry(alice: Holder, market: Market) -> None:
    alice.position().instrument.__class__.objects.update(lot_size=D("0.00000001"))
    bob = Holder.open(market, name="Bob's")
    bob.fill("buy", D("0.00000001"), 50)
    split(market, 3, 2, "30")
    assert book_due_actions() == 2
    booking = CorporateActionBooking.objects.get(portfolio_id=bob.portfolio_id)
    assert (booking.entry_id, bob.position().quantity) == (None, D("0.00000001"))
    assert unsettled_splits() == frozenset()
    bob.take_back_fill("buy")
    assert bob.position().quantity == 0
    assert found_by("splits give new for old") == 0


def typo(action: CorporateAction) -> None:
    withdraw(action_id=action.id, actor=None, reason="a typo")


def test_a_withdrawn_action_is_booked_for_nobody(alice: Holder, market: Market) -> None:
    """Before its ex time, or while somebody waits for it."""
    future = dividend(market, ex_at=market.as_of + timedelta(minutes=2))
    typo(future)
    order = alice.reserve(quantity=1)
    waits = split(market, 20, 1)
    assert (book_due_actions(), len(alice.waiting())) == (0, 1)
    assert unsettled_splits() != frozenset()
    typo(waits)
    assert unsettled_splits() == frozenset()
    alice.release(order)
    assert (book_due_actions(), alice.waiting()) == (0, [])
    assert (alice.position().quantity, dividends(alice)) == (100, [])
    with pytest.raises(Conflict, match="withdrawn"):
        apply_corporate_action(waits.id)
    assert found_by("nobody is left out of a corporate action") == 0


def test_a_wrong_split_is_put_right(alice: Holder, market: Market) -> None:
    """20:1 was recorded and booked, 2:1 is true. Until it is reversed, units and prices do not fit each other."""
    bob = Holder.open(market, name="Bob's")
    bob.fill("buy", 1, 50)
    wrong = split(market, 20, 1)
    assert book_due_actions() == 2
    typo(wrong)
    right = split(market, 2, 1, ex_at=wrong.ex_at)
    assert apply_corporate_action(right.id) == Applied(booked=0, waiting=2)
    assert "withdrawn: reverse it first" in alice.waiting()[0]
    assert {portfolio_id for portfolio_id, _ in unsettled_splits()} == {alice.portfolio_id, bob.portfolio_id}
    alice.take_back("split")
    assert apply_corporate_action(right.id) == Applied(booked=1, waiting=1)
    assert (alice.position().quantity, alice.position().cost) == (200, 5000)
    assert {portfolio_id for portfolio_id, _ in unsettled_splits()} == {bob.portfolio_id}
    bob.take_back("split")
    assert book_due_actions() == 1
    assert (bob.position().quantity, unsettled_splits()) == (2, frozenset())


def test_a_split_told_too_late_is_put_before_the_dividend(alice: Holder, market: Market) -> None:
    """What was paid on old units is reversed, and paid anew on new ones."""
    ex_at = market.as_of + timedelta(minutes=1)
    market.tick()
    paid = dividend(market)
    book_due_actions()
    typo(paid)
    split(market, 2, 1, ex_at=ex_at)
    dividend(market, ex_at=paid.ex_at)
    assert book_due_actions() == 0
    alice.take_back("dividend")
    assert book_due_actions() == 2
    assert (alice.position().quantity, dividends(alice)) == (200, [50])
