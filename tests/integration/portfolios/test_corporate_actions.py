"""Dividends and splits: once for everybody who held it just before the ex time, whenever they are booked."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connections

from foundation.clock import database_now
from journal.models import Alert, Entry
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import (
    BrokerAccount,
    CorporateActionBooking,
    CorporateActionSettlement,
    LedgerTransfer,
    Position,
    PositionMark,
)
from portfolios.selectors import unsettled_splits
from portfolios.services import corporate_actions
from portfolios.services.corporate_actions import Applied, apply_corporate_action, book_due_actions
from portfolios.tasks import book_corporate_actions
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Market
from tests.integration.portfolios.conftest import Holder, dividend, split
from trading.services.replaying import replay_differences
from trading.services.verification import book_differences

pytestmark = [pytest.mark.integration]
D = Decimal


@pytest.fixture
def market(db: None) -> Market:
    made = Market()
    made.tick()
    return made


@pytest.fixture
def alice(market: Market) -> Holder:
    """She holds 100 AAA at 50."""
    holder = Holder.open(market)
    holder.fill("buy", 100, 50)
    return holder


def replayed() -> list[str]:
    """What the replay finds, but for executions: these fills were booked without any."""
    return [line for line in replay_differences() if "recorded as realising" not in line]


def kinds(holder: Holder) -> list[str]:
    rows = LedgerTransfer.objects.filter(portfolio_id=holder.portfolio_id)
    return list(rows.order_by("id").values_list("kind", flat=True))


def test_a_dividend_is_income(alice: Holder, market: Market) -> None:
    action = dividend(market)
    assert apply_corporate_action(action.id) == Applied(booked=1, waiting=0)
    row = LedgerTransfer.objects.get(kind="dividend")
    assert (row.debit_account, row.credit_account, row.amount) == ("cash", "income", D(25))
    assert (row.market_at, row.memo) == (action.ex_at, "0.25 on 100 AAA")
    assert (alice.portfolio.cash, alice.portfolio.realised_pnl) == (D(95_025), D(25))
    assert alice.position().realised_pnl == 0
    event = Entry.objects.filter(stream_id=alice.portfolio_id).latest("seq")
    assert (event.kind, event.at) == ("dividend.booked", action.ex_at)
    assert list(replay_differences()) == []


def test_a_dividend_at_a_real_broker_is_the_brokers_to_pay(alice: Holder, market: Market) -> None:
    """What it pays is booked as it tells; ours would be the second. Nor is it made up for once it is on paper again."""
    account = BrokerAccount.objects.get(portfolio_id=alice.portfolio_id)
    account.broker, account.account_number = BrokerAccount.Broker.ALPACA, "PA1"
    account.save()
    action = dividend(market)
    assert apply_corporate_action(action.id) == Applied(booked=1, waiting=0)
    account.broker, account.account_number = BrokerAccount.Broker.PAPER, ""
    account.save()
    assert apply_corporate_action(action.id) == Applied(booked=0, waiting=0)
    booking = CorporateActionBooking.objects.get()
    assert (booking.paid_by_broker, booking.entry_id, booking.quantity) == (True, None, 100)
    assert (kinds(alice), alice.portfolio.cash) == (["deposit", "fill", "fill"], D(95_000))
    assert not Entry.objects.filter(kind="dividend.booked").exists()
    assert [line for line in book_differences() if "dividend" in line or "action" in line] == []


def test_who_held_it_just_before_the_ex_time_is_paid(alice: Holder, market: Market) -> None:
    """Bought at the ex time: not paid. Sold at the ex time: paid all the same."""
    bob, charlie = Holder.open(market, name="Bob's"), Holder.open(market, name="Charlie's")
    charlie.fill("buy", 7, 50)
    action = dividend(market)
    bob.fill("buy", 100, 50)
    alice.fill("buy", 900, 50)
    charlie.fill("sell", 7, 50)
    assert apply_corporate_action(action.id).booked == 2
    paid = dict(LedgerTransfer.objects.filter(kind="dividend").values_list("portfolio_id", "amount"))
    assert paid == {alice.portfolio_id: D(25), charlie.portfolio_id: D("1.75")}


def test_nothing_happens_before_the_ex_time(alice: Holder, market: Market) -> None:
    action = dividend(market, ex_at=market.as_of + timedelta(minutes=2))
    assert apply_corporate_action(action.id) == Applied(booked=0, waiting=0, reached=False)
    assert book_due_actions() == 0
    market.tick()
    assert book_due_actions() == 1


def test_a_dividend_below_half_a_cent_is_booked_as_nothing(alice: Holder, market: Market) -> None:
    assert apply_corporate_action(dividend(market, "0.00004999").id).booked == 1
    assert CorporateActionBooking.objects.get().entry_id is None
    assert not LedgerTransfer.objects.filter(kind="dividend").exists()


def test_told_again_it_is_booked_once(alice: Holder, market: Market) -> None:
    action = dividend(market)
    assert [apply_corporate_action(action.id).booked for _ in range(3)] == [1, 0, 0]
    assert book_due_actions() == 0
    assert alice.portfolio.cash == 95_025


@pytest.mark.parametrize(
    ("new", "old", "quantity", "average"),
    [(2, 1, "200", "25"), (3, 2, "150", "33.33333333"), (1, 10, "10", "500")],
)
def test_a_split_spreads_the_cost(
    alice: Holder, market: Market, new: int, old: int, quantity: str, average: str
) -> None:
    position = alice.position()
    PositionMark.objects.create(position=position, opened_at=position.opened_at, peak_price=60)
    assert apply_corporate_action(split(market, new, old).id).booked == 1
    position = alice.position()
    assert (position.quantity, position.cost, position.average_cost) == (D(quantity), D(5000), D(average))
    assert (position.opened_at, position.realised_pnl) == (alice.market.as_of - timedelta(minutes=1), 0)
    assert PositionMark.objects.get().peak_price == D(60) * old / new
    assert Entry.objects.filter(stream_id=alice.portfolio_id).latest("seq").kind == "position.split"
    assert list(replay_differences()) == []


def test_less_than_a_lot_is_paid_in_cash(alice: Holder, market: Market) -> None:
    """101 units for 5050 become 151.5 at 3:2; half a unit cost 16.66666667 and brings 17."""
    alice.fill("buy", 1, 50)
    assert apply_corporate_action(split(market, 3, 2, "34").id).booked == 1
    position = alice.position()
    assert (position.quantity, position.cost) == (D(151), D("5033.33333333"))
    assert position.realised_pnl == alice.portfolio.realised_pnl == D("0.33333333")
    assert alice.portfolio.cash == 94_950 + 17
    assert kinds(alice)[-3:] == ["split", "cash_in_lieu", "cash_in_lieu"]
    assert list(replay_differences()) == []


def test_a_reverse_split_may_leave_nothing_but_cash(alice: Holder, market: Market) -> None:
    assert apply_corporate_action(split(market, 1, 1000, "60000").id).booked == 1
    position = alice.position()
    assert (position.quantity, position.cost, position.average_cost, position.opened_at) == (0, 0, 0, None)
    assert (alice.portfolio.cash, position.realised_pnl) == (D(101_000), D(1000))
    assert list(replay_differences()) == []


def test_a_fraction_without_a_price_waits_until_it_is_known(alice: Holder, market: Market) -> None:
    action = split(market, 1, 3)
    for _ in range(2):
        assert apply_corporate_action(action.id) == Applied(booked=0, waiting=1)
    assert "no cash_in_lieu_price: record the action again with it" in alice.waiting()[0]
    assert Alert.objects.filter(kind="corporate_action.waiting").count() == 1, "told once"
    assert alice.position().quantity == 100
    facts = {"external_id": action.external_id, "symbol": "AAA", "kind": "split", "ex_at": action.ex_at}
    fact = NewCorporateAction(**facts, new_units=1, old_units=3, cash_in_lieu_price=D(150))
    known, is_new = record(fact, actor=None)
    assert (known.id, is_new) == (action.id, False)
    assert apply_corporate_action(action.id) == Applied(booked=1, waiting=0)
    assert (alice.position().quantity, alice.waiting()) == (D(33), [])


@pytest.mark.parametrize("working", [{"quantity": 10}, {"cash": 500}])
def test_a_split_waits_for_working_orders(alice: Holder, market: Market, working: dict[str, int]) -> None:
    order = alice.reserve(**working)
    action = split(market, 2, 1)
    assert apply_corporate_action(action.id) == Applied(booked=0, waiting=1)
    assert "working" in alice.waiting()[0] and alice.position().quantity == 100
    alice.release(order)
    book_corporate_actions()
    assert (alice.position().quantity, alice.waiting()) == (D(200), [])


def test_orders_for_something_else_are_in_nobodys_way(alice: Holder, market: Market) -> None:
    alice.reserve(cash=500, symbol="BBB")
    assert apply_corporate_action(split(market, 2, 1).id).booked == 1


def test_a_dividend_does_not_wait_for_orders(alice: Holder, market: Market) -> None:
    alice.reserve(quantity=10)
    assert apply_corporate_action(dividend(market).id).booked == 1


def test_what_was_bought_at_the_new_price_is_not_split(alice: Holder, market: Market) -> None:
    action = split(market, 2, 1)
    alice.fill("buy", 10, 25)
    alice.fill("sell", 30, 25)
    apply_corporate_action(action.id)
    assert alice.position().quantity == 100 + 10 - 30 + 100
    assert replayed() == []


def test_what_was_sold_out_at_the_new_price_comes_back(alice: Holder, market: Market) -> None:
    action = split(market, 2, 1)
    alice.fill("sell", 100, 25)
    apply_corporate_action(action.id)
    position = alice.position()
    assert (position.quantity, position.cost, position.opened_at) == (D(100), D(0), action.ex_at)
    assert replayed() == []


def test_a_reverse_split_of_what_was_sold_since_waits(alice: Holder, market: Market) -> None:
    action = split(market, 1, 10)
    alice.fill("sell", 20, 500)
    assert apply_corporate_action(action.id) == Applied(booked=0, waiting=1)
    assert "more was sold after the ex time" in alice.waiting()[0]
    assert alice.position().quantity == 80


def test_actions_are_booked_in_the_order_of_their_ex_times(alice: Holder, market: Market) -> None:
    """A dividend after a split is on the new units: it waits for the split, which waits for an order."""
    order = alice.reserve(quantity=10)
    split(market, 2, 1)
    later = dividend(market)
    assert apply_corporate_action(later.id) == Applied(booked=0, waiting=1)
    assert alice.waiting() == [
        "an order for the instrument is working, whose size would be wrong",
        "an earlier corporate action of the instrument waits",
    ]
    alice.release(order)
    assert apply_corporate_action(later.id) == Applied(booked=1, waiting=0)
    assert LedgerTransfer.objects.get(kind="dividend").amount == 50


def test_a_dividend_and_a_split_at_the_same_time_both_count_old_units(alice: Holder, market: Market) -> None:
    ex_at = market.as_of + timedelta(minutes=1)
    split(market, 2, 1, ex_at=ex_at)
    dividend(market, ex_at=ex_at)
    assert book_due_actions() == 2
    assert (LedgerTransfer.objects.get(kind="dividend").amount, alice.position().quantity) == (D(25), D(200))


def test_a_fill_that_was_on_its_way_is_found_by_a_later_sweep(alice: Holder, market: Market) -> None:
    action = dividend(market)
    assert book_due_actions() == 1
    late = Holder.open(market, name="Late")
    market.as_of -= timedelta(minutes=1)
    late.fill("buy", 10, 50)
    assert book_due_actions() == 1
    assert LedgerTransfer.objects.get(kind="dividend", portfolio_id=late.portfolio_id).amount == D("2.50")
    assert CorporateActionSettlement.objects.get(action=action).finished_at is None


def test_begun_without_its_holders_is_not_begun(
    alice: Holder, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends between the two statements leaves nothing of the first."""

    def end(name: str) -> None:
        raise SystemExit(name)

    split(market, 2, 1)
    monkeypatch.setattr(corporate_actions, "reach", end)
    with pytest.raises(SystemExit, match=r"corporate_actions\.begun"):
        book_due_actions()
    assert not CorporateActionSettlement.objects.exists()
    assert unsettled_splits() == {(alice.portfolio_id, alice.position().instrument_id)}
    monkeypatch.undo()
    assert book_due_actions() == 1
    assert (alice.position().quantity, unsettled_splits()) == (D(200), frozenset())


def test_a_fill_on_its_way_to_a_split_is_due_before_the_sweep_finds_it(alice: Holder, market: Market) -> None:
    """And who bought at the new price is due nothing, at no time."""
    bob, late = Holder.open(market, name="Bob's"), Holder.open(market, name="Late")
    split(market, 2, 1)
    bob.fill("buy", 7, 25)
    due = {(alice.portfolio_id, alice.position().instrument_id)}
    assert unsettled_splits() == due
    assert book_due_actions() == 1
    market.as_of -= timedelta(minutes=1)
    late.fill("buy", 10, 50)
    assert unsettled_splits() == {(late.portfolio_id, late.position().instrument_id)}
    assert book_due_actions() == 1
    assert unsettled_splits() == frozenset()
    assert (late.position().quantity, bob.position().quantity) == (20, 7)


def test_in_the_end_nobody_looks_any_more(alice: Holder, market: Market) -> None:
    order = alice.reserve(quantity=10)
    split(market, 2, 1)
    book_due_actions()
    CorporateActionSettlement.objects.update(began_at=database_now() - timedelta(hours=2))
    book_due_actions()
    assert CorporateActionSettlement.objects.get().finished_at is None, "somebody waits"
    alice.release(order)
    assert book_due_actions() == 1
    assert CorporateActionSettlement.objects.get().finished_at is not None
    assert book_due_actions() == 0


def test_many_are_booked_in_batches(alice: Holder, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corporate_actions, "BATCH_PORTFOLIOS_MAX", 2)
    holders = [alice, *(Holder.open(market, name=f"H{number}") for number in range(4))]
    for holder in holders[1:]:
        holder.fill("buy", 10, 50)
    assert apply_corporate_action(dividend(market).id) == Applied(booked=5, waiting=0)
    assert CorporateActionBooking.objects.filter(booked_at__isnull=False).count() == 5


def test_one_that_cannot_be_booked_stops_no_other(alice: Holder, market: Market) -> None:
    """What the books' columns cannot hold fails alone, and somebody is told."""
    rich = Holder.open(market, name="Rich", cash=10**9)
    rich.fill("buy", 10**7, 50)
    assert apply_corporate_action(split(market, 10**6, 1).id) == Applied(booked=1, waiting=1)
    assert (alice.position().quantity, rich.position().quantity) == (D(10**8), D(10**7))
    assert rich.waiting() == [corporate_actions.FAILED]
    assert Alert.objects.get(kind="corporate_action.waiting").stream_id == rich.portfolio_id


def test_a_dividend_beyond_what_the_books_hold_waits(alice: Holder, market: Market) -> None:
    assert apply_corporate_action(dividend(market, "10000000000").id) == Applied(booked=0, waiting=1)
    assert "10^12" in alice.waiting()[0]


def test_two_workers_book_it_once(committed_db: CommittedDatabase) -> None:
    market = Market()
    market.tick()
    holders = [Holder.open(market, name=f"H{number}") for number in range(6)]
    for holder in holders:
        holder.fill("buy", 10, 50)
    action = dividend(market)
    barrier, done, errors = threading.Barrier(4), [], []

    def work() -> None:
        try:
            barrier.wait()
            done.append(apply_corporate_action(action.id).booked)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert errors == []
    book_due_actions()
    assert LedgerTransfer.objects.filter(kind="dividend").count() == len(holders)
    assert {holder.portfolio.cash for holder in holders} == {D("99502.50")}
    assert sum(done) == len(holders)
    assert list(replay_differences()) == []


def test_the_command_records_and_books(
    alice: Holder, market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    ex_at = (market.as_of + timedelta(minutes=1)).isoformat()
    args = ("record_corporate_action", "dividend", "AAA", "one", "--ex-at", ex_at, "--amount", "0.25")
    call_command(*args)
    assert "it will be booked then" in capsys.readouterr().out
    market.tick()
    call_command(*args)
    told = capsys.readouterr().out
    assert "known already: dividend of 0.25" in told and "booked for 1 portfolios, 0 wait" in told
    assert Position.objects.get().quantity == 100
