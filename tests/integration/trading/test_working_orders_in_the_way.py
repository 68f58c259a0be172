"""What works is cancelled where it must: by stops, by ending sessions, by stop losses and by splits."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import RecordedRefusal
from journal.models import Entry
from market.models import CalendarDay, CorporateAction
from portfolios.services.books import open_books
from rules.models import RuleVersion
from sessions.services.sessions import pause_trading_session, stop_trading_session
from tests.harness.paper import paper_market
from tests.harness.trading import Desk, Market
from tests.harness.working import ACCEPTED, at_alpaca, fill, limit_at, place, stop_at, works
from tests.integration.trading.at_brokers import pass_time
from tests.integration.trading.protecting import buying, protected, sells, tick
from trading import tasks
from trading.core.order_states import OrderState as S
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce
from trading.management.commands import emergency_stop as command
from trading.models import AutoTrade
from trading.services.draining import drain, drain_all
from trading.services.emergency_stop import arm
from trading.services.order_management import cancel_trade, end_open, move
from trading.services.protection_watch import watch_protections
from trading.services.split_orders import cancel_split_orders
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


def state_of(trade: AutoTrade) -> str:
    trade.refresh_from_db()
    return trade.status


def end(trade: AutoTrade, *path: str) -> None:
    """As the broker's word that it is over would."""
    with transaction.atomic():
        trade.refresh_from_db()
        books = open_books([trade.portfolio_id])
        end_open([trade], *path, books=books, reason="the broker says so")
        books.save()


@pytest.fixture
def bought(desk: Desk) -> Desk:
    """With 20 of AAA."""
    place(desk, MARKET_DAY, quantity=20)
    execute_pending()
    desk.market.tick()
    return desk


# --- emergency stops ---------------------------------------------------------------------------------


def test_a_halt_cancels_what_works_on_paper_and_is_drained(bought: Desk) -> None:
    buy = works(place(bought, limit_at(90)))
    sell = works(place(bought, limit_at(120, gtc=True), side="sell"))
    fill(buy, 4, 90, ACCEPTED, S.PARTIALLY_FILLED)
    halt = arm(scope="platform", reason="a test", actor=None)
    assert drain(halt_id=halt.id)
    assert (state_of(buy), state_of(sell), buy.filled_quantity) == ("cancelled", "cancelled", 4)
    assert buy.status_reason == "HALTED: halt on platform: a test"
    assert bought.refresh().portfolio.reserved_cash == 0 and book_differences() == []


def test_reduce_only_cancels_buys_only(bought: Desk) -> None:
    buy = works(place(bought, limit_at(90)))
    sell = works(place(bought, limit_at(120), side="sell"))
    halt = arm(scope="platform", mode="reduce_only", reason="a test", actor=None)
    assert drain(halt_id=halt.id)
    assert (state_of(buy), state_of(sell)) == ("cancelled", "accepted")


@pytest.mark.parametrize("scope", ["account", "portfolio", "session", "symbol"])
def test_a_halt_cancels_nothing_beyond_its_scope(bought: Desk, scope: str) -> None:
    mine, other = works(place(bought, limit_at(90))), Desk.open(bought.market, owner="erin")
    if scope == "symbol":
        theirs = works(place(bought, limit_at(90), symbol="BBB"))
    else:
        theirs = works(place(other, limit_at(90)))
    ids = {"account": bought.portfolio.broker_account.id, "portfolio": bought.portfolio.id,
           "session": bought.session.id, "symbol": "AAA"}  # fmt: skip
    halt = arm(scope=scope, scope_id=str(ids[scope]), reason="a test", actor=None)
    assert drain(halt_id=halt.id)
    assert (state_of(mine), state_of(theirs)) == ("cancelled", "accepted")


def test_at_a_real_broker_it_is_drained_when_that_says_so(desk: Desk) -> None:
    at_alpaca(desk)
    trade = works(place(desk, limit_at(90)))
    halt = arm(scope="platform", reason="a test", actor=None)
    assert not drain(halt_id=halt.id)
    assert state_of(trade) == "cancelling"
    assert drain_all() == 0, "its cancel is under way"
    end(trade, S.CANCELLING, S.CANCELLED)
    assert drain(halt_id=halt.id)
    assert desk.refresh().portfolio.reserved_cash == 0


def test_what_is_in_doubt_is_remembered_and_the_quarantined_keeps_nobody_waiting(desk: Desk) -> None:
    at_alpaca(desk)
    trade = place(desk, limit_at(90))
    move([trade], S.PENDING, S.SUBMITTING, S.UNKNOWN)
    halt = arm(scope="platform", reason="a test", actor=None)
    assert not drain(halt_id=halt.id)
    trade.refresh_from_db()
    assert trade.cancel_requested_at is not None
    move([trade], S.UNKNOWN, S.QUARANTINED)
    assert drain(halt_id=halt.id)
    assert Entry.objects.filter(kind="trade.cancel_requested").count() == 1


def test_the_command_line_cancels_at_the_broker_by_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_alpaca(desk)
    trade = works(place(desk, limit_at(90)))
    monkeypatch.setattr(command, "cancel_due", sent)
    monkeypatch.setattr(command, "recover_due", lambda *, resend: 0)
    SENT[:] = [trade]
    call_command("emergency_stop", reason="a test")
    assert state_of(trade) == "cancelled"
    assert "drained" in capsys.readouterr().out


def test_the_command_line_says_when_a_broker_does_not_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_alpaca(desk)
    works(place(desk, limit_at(90)))
    monkeypatch.setattr(command, "cancel_due", sent)
    monkeypatch.setattr(command, "recover_due", lambda *, resend: 0)
    monkeypatch.setattr(command, "DRAIN_SECONDS_MAX", 0)
    SENT[:] = []
    with pytest.raises(CommandError, match="still in flight or work at a broker"):
        call_command("emergency_stop", reason="a test")


SENT: list[AutoTrade] = []


def sent() -> int:
    """Stands for the sender, at a broker that cancels at once."""
    for trade in SENT:
        end(trade, S.CANCELLING, S.CANCELLED)
    return len(SENT)


# --- sessions ----------------------------------------------------------------------------------------


def of_rule(desk: Desk, trade: AutoTrade) -> AutoTrade:
    """As if a rule of the session had wanted it."""
    version = RuleVersion.objects.filter(rule__portfolio=desk.portfolio).earliest("id")
    AutoTrade.objects.filter(pk=trade.pk).update(origin="rule", rule=version.rule, rule_version=version)
    return trade


def test_a_stopping_session_cancels_its_entries_and_keeps_its_exits(bought: Desk) -> None:
    buy = of_rule(bought, works(place(bought, limit_at(90))))
    bought.market.tick()
    sell = of_rule(bought, works(place(bought, limit_at(120), side="sell")))
    by_hand = works(place(bought, limit_at(91, gtc=True), quantity=2))
    stop_trading_session(session_id=bought.session.id, actor=bought.owner)
    assert finish_stopping() == 0, "its exit works"
    assert (state_of(buy), state_of(sell), state_of(by_hand)) == ("cancelled", "accepted", "accepted")
    end(sell, S.ACCEPTED, S.EXPIRED)
    assert finish_stopping() == 1, "a person's order is no reason to wait"
    assert state_of(by_hand) == "accepted"


def test_a_session_that_flattens_cancels_what_is_in_the_way(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    place(desk, MARKET_DAY, quantity=20)
    execute_pending()
    market.tick()
    sell = works(place(desk, limit_at(120, gtc=True), side="sell", quantity=20))
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    execute_pending()
    assert (state_of(sell), desk.held("AAA")) == ("cancelled", 0)
    assert finish_stopping() == 1 and book_differences() == []


def test_a_pausing_session_cancels_entries_that_were_not_sent(market: Market) -> None:
    market.tick()
    desk = Desk.open(market)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    execute_pending()
    (trade,) = desk.trades()
    assert (trade.status, trade.status_reason) == ("cancelled", "its session is paused")


def test_a_session_that_flattens_cancels_a_market_buy_that_still_works(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    buy = works(place(desk, MARKET_DAY, quantity=20))
    fill(buy, 8, 100, ACCEPTED, S.PARTIALLY_FILLED)
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    assert (state_of(buy), sells(desk)[-1].quantity) == ("cancelled", 8)
    execute_pending()
    assert finish_stopping() == 1 and desk.held("AAA") == 0 and book_differences() == []


# --- stop losses -------------------------------------------------------------------------------------


def test_a_stop_loss_sells_although_a_limit_order_has_promised_everything(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    waiting = works(place(desk, limit_at(130, gtc=True), side="sell", quantity=50))
    assert tick(desk, AAA=96) == 0
    assert state_of(waiting) == "accepted"
    assert tick(desk, AAA=94) == 1
    assert (state_of(waiting), waiting.status_reason) == ("cancelled", "the stop loss of AAA sells at market")
    execute_pending()
    assert desk.held("AAA") == 0 and book_differences() == []


def test_a_stop_loss_is_not_held_up_by_a_buy_that_waits(market: Market) -> None:
    """Which would be met by it, or buy again what is being sold."""
    desk = protected(market, stop_loss_percentage=5)
    waiting = works(place(desk, stop_at(140)))
    assert tick(desk, AAA=94) == 1
    assert state_of(waiting) == "cancelled"
    execute_pending()
    assert desk.held("AAA") == 0


def test_a_stop_loss_is_not_held_up_by_the_buy_that_it_protects(market: Market) -> None:
    """Twenty of fifty are bought, and protected by the first fill, when the price falls through the stop."""
    market.volumes["AAA"] = 800
    market.tick()
    desk = Desk.open(market, rules=(buying(stop_loss_percentage=5),))
    paper_market(desk, volume_limit_percentage="2.5")
    market.advise("AAA")
    desk.step()
    (buy,) = desk.trades()
    assert (buy.status, desk.held("AAA")) == ("partially_filled", 20)
    assert tick(desk, AAA=94) == 1
    assert (state_of(buy), sells(desk)[-1].quantity) == ("cancelled", 20)
    execute_pending()
    assert desk.held("AAA") == 0 and book_differences() == []


def test_a_stop_loss_is_not_held_up_by_a_market_buy_that_was_not_sent(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    buy = place(desk, MARKET_DAY, quantity=7)
    assert tick(desk, AAA=94) == 1
    assert (state_of(buy), sells(desk)[-1].quantity) == ("cancelled", 50)


def test_at_a_real_broker_it_sells_what_is_free_at_once_and_the_rest_when_that_is_free(
    market: Market,
) -> None:
    desk = protected(market, stop_loss_percentage=5)
    at_alpaca(desk)
    waiting = works(place(desk, limit_at(130, gtc=True), side="sell", quantity=50))
    assert tick(desk, AAA=94) == 0
    assert state_of(waiting) == "cancelling"
    assert tick(desk, AAA=94) == 0, "it may still be filled"
    assert Entry.objects.filter(kind="trade.cancelling").count() == 1, "it is asked once"
    end(waiting, S.CANCELLING, S.CANCELLED)
    assert tick(desk, AAA=94) == 1
    assert sells(desk)[-1].quantity == 50


def soon(desk: Desk, **prices: float) -> int:
    """A second later, as `tick`."""
    desk.market.tick(minutes=1 / 60, **prices)
    return watch_protections()


def test_a_stop_loss_is_no_twin_of_the_order_that_it_has_had_cancelled(market: Market) -> None:
    """A real broker ends it seconds later, in a transaction of its own."""
    desk = protected(market, stop_loss_percentage=5)
    at_alpaca(desk)
    waiting = works(place(desk, limit_at(130, gtc=True), side="sell", quantity=50))
    assert soon(desk, AAA=94) == 0
    end(waiting, S.CANCELLING, S.CANCELLED)
    assert soon(desk) == 1
    assert sells(desk)[-1].quantity == 50


def test_a_stop_loss_that_the_broker_rejects_is_sent_again_a_few_seconds_later(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    at_alpaca(desk)
    assert soon(desk, AAA=94) == 1
    end(sells(desk)[-1], S.PENDING, S.REJECTED)
    tries = []
    for _ in range(5):
        pass_time(1)
        tries.append(soon(desk))
    assert tries == [0, 0, 0, 0, 1]
    (refused,) = Entry.objects.filter(kind="protection.refused")
    assert json.loads(refused.payload)["code"] == "BROKER_REJECTED"


# --- splits ------------------------------------------------------------------------------------------


def split(market: Market, *, at: Any) -> None:
    CorporateAction.objects.create(
        external_id="split",
        instrument=market.instruments[0],
        kind="split",
        ex_at=at,
        new_units=2,
        old_units=1,
    )


def test_orders_that_a_split_has_overtaken_are_cancelled_wherever_they_are(bought: Desk) -> None:
    market = bought.market
    on_paper = works(place(bought, limit_at(120, gtc=True), side="sell"))
    other = Desk.open(market, owner="erin")
    at_alpaca(other)
    there = works(place(other, limit_at(90, gtc=True)))
    elsewhere = works(place(bought, limit_at(90, gtc=True), symbol="BBB"))
    split(market, at=market.as_of + timedelta(minutes=1))
    assert cancel_split_orders() == 0, "market time has not reached it"
    market.tick(AAA=50)
    after = works(place(other, limit_at(45, gtc=True), quantity=3, symbol="BBB"))
    tasks.cancel_split_orders()
    assert (state_of(on_paper), state_of(there)) == ("cancelled", "cancelling")
    assert (state_of(elsewhere), state_of(after)) == ("accepted", "accepted")
    assert "old units" in on_paper.status_reason
    assert cancel_split_orders() == 0, "all is asked for"


@pytest.mark.parametrize(
    ("side", "terms"),
    [
        (
            "sell",
            OrderTerms(OrderType.STOP, TimeInForce.GTC, stop_price=Decimal(95)),
        ),  # halved, it is reached
        ("buy", limit_at(30, gtc=True)),  # of a reverse split any sale is
    ],
)
def test_at_a_real_broker_they_are_cancelled_before_the_market_opens_in_new_units(
    bought: Desk, side: str, terms: OrderTerms
) -> None:
    """Or the broker would execute them at the opening, before anybody can ask it not to."""
    market = bought.market
    on_paper = works(place(bought, limit_at(120, gtc=True), side="sell"))
    other = Desk.open(market, owner="erin")
    if side == "sell":
        place(other, MARKET_DAY, quantity=20)
        execute_pending()
    at_alpaca(other)
    there, elsewhere = works(place(other, terms, side=side)), works(place(other, limit_at(90), symbol="BBB"))
    closes_at = market.as_of + timedelta(hours=1)
    days(market, closes_at - timedelta(hours=7), closes_at + timedelta(hours=17))
    split(market, at=closes_at + timedelta(hours=17))
    market.tick(minutes=60)
    assert (cancel_split_orders(), state_of(there)) == (0, "accepted"), "it closes just now"
    market.tick()
    tasks.cancel_split_orders()
    assert (state_of(there), state_of(elsewhere), state_of(on_paper)) == (
        "cancelling", "accepted", "accepted",
    )  # fmt: skip
    assert "split comes" in there.cancel_reason and "old units" in there.cancel_reason
    assert cancel_split_orders() == 0, "all is asked for"
    if side == "sell":  # of what is held nobody knows the price until the split is booked
        with pytest.raises(RecordedRefusal, match="STALE_DATA"):
            place(other, limit_at(120, gtc=True), side=side)
        return
    late = works(place(other, limit_at(40, gtc=True)))
    assert (cancel_split_orders(), state_of(late)) == (1, "cancelling")


def test_a_split_that_is_not_the_next_days_cancels_nothing(desk: Desk) -> None:
    at_alpaca(desk)
    trade, close = works(place(desk, limit_at(90, gtc=True))), desk.market.as_of
    days(desk.market, close - timedelta(hours=7), close + timedelta(hours=17), close + timedelta(days=2))
    split(desk.market, at=close + timedelta(days=2))
    desk.market.tick()
    assert (cancel_split_orders(), state_of(trade)) == (0, "accepted")


def days(market: Market, *opens_at: Any) -> None:
    """Sessions of seven hours."""
    CalendarDay.objects.bulk_create(
        CalendarDay(
            exchange=market.instruments[0].exchange,
            day=at.date(),
            opens_at=at,
            closes_at=at + timedelta(hours=7),
        )
        for at in opens_at
    )


def test_without_a_market_no_split_has_overtaken_anything(committed_db: object) -> None:
    assert cancel_split_orders() == 0


def test_a_cancel_at_the_last_moment_is_no_second_one(desk: Desk) -> None:
    """A cancel and a halt ask for the same order: the broker hears it once."""
    at_alpaca(desk)
    trade = works(place(desk, limit_at(90)))
    asked = cancel_trade(trade_id=trade.id, actor=desk.owner)
    assert asked.cancel_requested_at is not None and asked.cancel_requested_at <= database_now()
    halt = arm(scope="platform", reason="a test", actor=None)
    assert not drain(halt_id=halt.id)
    trade.refresh_from_db()
    assert (trade.status, trade.cancel_reason, trade.cancel_requested_at) == (
        "cancelling",
        "by alice",
        asked.cancel_requested_at,
    )
    assert desk.refresh().portfolio.reserved_cash > Decimal(0)
