"""What a broker tells is booked once and moves the trade; what cannot be true changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError

from foundation.clock import database_now
from foundation.errors import RecordedRefusal
from journal.models import Alert, Entry
from portfolios.models import Reservation
from sessions.models import TradingSession
from tests.harness.at_broker import AT, connect, execution_of, order_of, ordered, report
from tests.harness.racing import racing
from tests.harness.trading import Desk, Market
from tests.integration.trading.resting import buying
from trading.brokers.protocol import BadReport
from trading.models import AutoTrade, BrokerMessage, Execution, OrderMessage, RuleAct
from trading.services import order_reports
from trading.services.order_management import cancel_trade
from trading.services.order_reports import ForeignOrder, StaleClaim, apply_report, misses_fills
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def alice(desk: Desk) -> Desk:
    """Alice's portfolio, at a real broker."""
    connect(desk)
    return desk


def put(trade: AutoTrade, **columns: Any) -> AutoTrade:
    """As another worker would have left it."""
    AutoTrade.objects.filter(pk=trade.pk).update(**columns)
    trade.refresh_from_db()
    return trade


def kinds(desk: Desk) -> list[str]:
    rows = Entry.objects.filter(stream_id=desk.portfolio.id, kind__startswith="trade.")
    return list(rows.order_by("seq").values_list("kind", flat=True))


def reserved(trade: AutoTrade) -> tuple[Decimal, Decimal] | None:
    row = Reservation.objects.filter(owner_id=trade.id).first()
    return (row.cash, row.quantity) if row is not None else None


def bought(desk: Desk, quantity: int = 10) -> AutoTrade:
    """Held of AAA, after a whole life of a buy."""
    trade = ordered(desk, quantity=quantity)
    report(trade, "filled", quantity, fill=quantity)
    return trade


def test_an_order_is_accepted_filled_in_parts_and_filled(alice: Desk) -> None:
    trade = put(ordered(alice), status="submitting", fence=1, claimed_by="a", claimed_until=database_now())
    assert report(trade).status == "accepted"
    assert report(trade, "partially_filled", 4, fill=4).status == "partially_filled"
    cash = reserved(trade)
    assert report(trade, "filled", 10, fill=6, number=2).status == "filled"
    trade.refresh_from_db()
    assert (trade.filled_quantity, trade.executed_price, trade.fees) == (D(10), D(100), D("0.5"))
    assert (trade.broker_order_id, trade.claimed_by, trade.claimed_until) == (f"b-{trade.id.hex}", "", None)
    assert trade.executed_at == alice.market.as_of, "a market of other years has its own time"
    assert cash is not None and reserved(trade) is None
    assert alice.held("AAA") == 10
    assert kinds(alice) == ["trade.created", "trade.accepted", "trade.partially_filled", "trade.filled"]
    assert list(BrokerMessage.objects.values_list("kind", "outcome")) == [
        ("report", "accepted"), ("report", "partially_filled"), ("report", "filled"),
    ]  # fmt: skip
    assert book_differences() == []


def test_a_fill_before_its_acknowledgement_and_twice_and_out_of_order_is_booked_once(alice: Desk) -> None:
    trade = put(ordered(alice), status="submitting", fence=1)
    assert report(trade, "filled", 10, fill=6, number=2).status == "partially_filled"
    assert report(trade).status == "partially_filled", "the acknowledgement comes late"
    assert report(trade, "partially_filled", 4, fill=4, number=1).status == "filled"
    told = BrokerMessage.objects.count()
    for number, fill in ((1, 4), (2, 6), (1, 4)):
        assert report(trade, "filled", 10, fill=fill, number=number).status == "filled"
    assert BrokerMessage.objects.count() == told, "nothing changed, nothing is noted"
    assert Execution.objects.count() == 2
    assert alice.held("AAA") == 10
    assert book_differences() == []


def test_an_order_that_the_broker_calls_filled_waits_for_its_executions(alice: Desk) -> None:
    trade = put(ordered(alice), status="unknown", fence=1)
    filled = order_of(trade, "filled", 10)
    known = apply_report(account_id=trade.account_id, order=filled, told_by="recovery")
    assert known.status == "unknown" and misses_fills(known, filled)
    for number, fill, status in ((1, 4, "unknown"), (2, 6, "filled")):
        known = apply_report(
            account_id=trade.account_id, order=filled, execution=execution_of(trade, fill, number),
            told_by="recovery",
        )  # fmt: skip
        assert known.status == status
    assert not misses_fills(known, filled)
    assert book_differences() == []


def test_a_cancelled_order_keeps_what_was_filled_and_is_over_when_all_of_it_is_booked(alice: Desk) -> None:
    trade = ordered(alice)
    report(trade)
    cancelled = order_of(trade, "cancelled", 4)
    known = apply_report(account_id=trade.account_id, order=cancelled, told_by="stream")
    assert known.status == "accepted" and misses_fills(known, cancelled)
    known = apply_report(
        account_id=trade.account_id, order=cancelled, execution=execution_of(trade, 4), told_by="stream"
    )
    assert (known.status, known.filled_quantity) == ("cancelled", 4)
    assert reserved(trade) is None
    assert kinds(alice)[-2:] == ["trade.partially_filled", "trade.cancelled"]
    assert book_differences() == []


@pytest.mark.parametrize("state", ["rejected", "cancelled", "expired"])
def test_what_ends_without_a_fill_gives_back_what_was_reserved(alice: Desk, state: str) -> None:
    trade = ordered(alice)
    report(trade)
    known = apply_report(
        account_id=trade.account_id, order=order_of(trade, state, reason="no such luck"), told_by="stream"
    )
    assert (known.status, known.status_reason) == (state, "no such luck")
    assert reserved(trade) is None and alice.refresh().portfolio.reserved_cash == 0
    assert book_differences() == []


def test_a_fill_after_the_cancel_is_booked_and_the_rest_stays_cancelled(alice: Desk) -> None:
    trade = ordered(alice)
    report(trade)
    report(trade, "cancelled")
    assert report(trade, "cancelled", 4, fill=4).status == "cancelled"
    assert alice.held("AAA") == 4
    assert report(trade, "filled", 10, fill=6, number=2).status == "filled"
    assert alice.held("AAA") == 10
    assert not Alert.objects.filter(kind="trade.turned_up").exists()
    assert book_differences() == []


def test_an_old_word_that_it_works_revives_nothing_that_the_broker_has_ended(alice: Desk) -> None:
    trade = ordered(alice)
    report(trade, "cancelled")
    assert report(trade, "accepted").status == "cancelled"
    assert book_differences() == []


def test_an_order_that_turns_up_after_we_gave_it_up_is_cancelled_with_its_exposure(alice: Desk) -> None:
    trade = cancel_trade(trade_id=ordered(alice).id, actor=alice.owner)
    assert reserved(trade) is None
    told = OrderMessage.objects.filter(kind="cancel").count()
    known = report(trade)
    assert (known.status, known.claimed_until) == ("cancelling", None)
    assert OrderMessage.objects.filter(kind="cancel").count() == told + 1, "it is one more message"
    assert known.cancel_requested_at is not None
    cash = reserved(trade)
    assert cash is not None and cash[0] >= 1_000
    alert = Alert.objects.get(kind="trade.turned_up")
    assert alert.severity == "critical" and trade.client_order_id in alert.message
    assert report(trade, "partially_filled", 4, fill=4).status == "cancelling"
    assert report(trade, "cancelled", 4).status == "cancelled"
    assert (reserved(trade), alice.held("AAA")) == (None, 4)
    assert book_differences() == []


@pytest.mark.parametrize("told_before", [False, True])
def test_the_rule_of_an_order_that_was_given_up_rests_once_it_is_filled(
    market: Market, told_before: bool
) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(),))
    connect(desk)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    assert RuleAct.objects.get().acted_at == trade.market_at
    cancel_trade(trade_id=trade.id, actor=None)
    assert not RuleAct.objects.exists(), "it came to nothing"
    if told_before:
        assert report(trade).status == "cancelling"
    report(trade, "filled", 10, fill=4)
    assert RuleAct.objects.get().acted_at == trade.market_at
    later = trade.market_at + timedelta(minutes=5)
    RuleAct.objects.update(acted_at=later)
    report(trade, "filled", 10, fill=6, number=2)
    assert RuleAct.objects.get().acted_at == later


def test_a_later_act_of_the_rule_stays(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(),))
    connect(desk)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    cancel_trade(trade_id=trade.id, actor=None)
    later = trade.market_at + timedelta(minutes=5)
    RuleAct.objects.create(rule_id=trade.rule_id, instrument_id=trade.instrument_id, acted_at=later)
    report(trade, "filled", 10, fill=10)
    assert RuleAct.objects.get().acted_at == later


def test_what_turns_up_is_reserved_only_as_far_as_cash_is_free(market: Market) -> None:
    market.tick()
    poor = Desk.open(market, cash=1_500)
    connect(poor)
    first = cancel_trade(trade_id=ordered(poor, quantity=2).id, actor=poor.owner)
    second = ordered(poor, quantity=2, symbol="BBB")
    poor.refresh()
    free = poor.portfolio.cash - poor.portfolio.reserved_cash
    AutoTrade.objects.filter(pk=first.pk).update(quantity=D(100))
    first.refresh_from_db()
    assert report(first).status == "cancelling"
    assert reserved(first) == (free, 0)
    assert report(first, "partially_filled", 20, fill=20).status == "cancelling", "it is true, and booked"
    assert reserved(second) is not None
    assert poor.held("AAA") == 20


def test_a_wish_to_cancel_is_carried_out_when_the_order_is_found(alice: Desk) -> None:
    wish = {"cancel_requested_at": database_now(), "cancel_reason": "by alice"}
    trade = put(ordered(alice), status="unknown", fence=1, **wish)
    known = report(trade)
    assert (known.status, known.status_reason) == ("cancelling", "by alice")
    assert reserved(trade) is not None
    assert kinds(alice)[-1] == "trade.cancelling"
    assert report(trade, "filled", 10, fill=10).status == "filled", "it was filled first"
    assert book_differences() == []


def test_a_sell_takes_units_that_are_held_and_not_promised_to_another(alice: Desk) -> None:
    bought(alice)
    first = ordered(alice, side="sell", quantity=6)
    report(first, "cancelled")
    second = ordered(alice, side="sell", quantity=10)
    with pytest.raises(BadReport, match="it sells 6, and 0 can be sold"):
        report(first, "filled", 6, fill=6)
    report(second, "cancelled")
    assert report(first, "filled", 6, fill=6).status == "filled"
    assert alice.held("AAA") == 4
    assert book_differences() == []


ORDER_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"symbol": "BBB"}, "its symbol is BBB, we ordered AAA"),
    ({"side": "sell"}, "its side is sell, we ordered to buy"),
    ({"quantity": D(9)}, "its quantity is 9, we ordered 10"),
    ({"quantity": D("NaN")}, "a quantity of it is not a number"),
    ({"filled_quantity": D("Infinity")}, "a quantity of it is not a number"),
    ({"filled_quantity": D(11)}, "11 is filled of an order of 10"),
    ({"broker_order_id": ""}, "the broker's id of the order is missing"),
    ({"broker_order_id": "another"}, "has the same client order id"),
    ({"state": "rejected", "filled_quantity": D(1)}, "it is rejected, and has fills"),
]


@pytest.mark.parametrize(("changes", "reason"), ORDER_FAULTS)
def test_an_order_that_is_not_what_we_made_changes_nothing(
    alice: Desk, changes: dict[str, Any], reason: str
) -> None:
    trade = ordered(alice)
    report(trade)
    with pytest.raises(BadReport, match=reason) as raised:
        apply_report(account_id=trade.account_id, order=replace(order_of(trade), **changes), told_by="stream")
    assert raised.value.payload["order"]["client_order_id"] == trade.client_order_id
    unchanged(alice, trade)


EXECUTION_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"quantity": D(0)}, "a number of the execution is not positive"),
    ({"quantity": D(11)}, "11 is filled of an order of 10"),
    ({"quantity": D("0.000000001")}, "more than 8 decimals"),
    ({"price": D("NaN")}, "a number of the execution is none"),
    ({"price": D(-100)}, "a number of the execution is not positive"),
    ({"price": D("9.99")}, "the price 9.99 is more than 10 times away from 100"),
    ({"price": D("1000.01")}, "the price 1000.01 is more than 10 times away from 100"),
    ({"fee": D("-0.01")}, "a number of the execution is not positive"),
    ({"symbol": "BBB"}, "the execution is of another order"),
    ({"execution_id": ""}, "the execution's id is missing"),
    ({"at": AT.replace(tzinfo=None)}, "the execution's time has no zone"),
]


@pytest.mark.parametrize(("changes", "reason"), EXECUTION_FAULTS)
def test_an_execution_that_cannot_be_true_changes_nothing(
    alice: Desk, changes: dict[str, Any], reason: str
) -> None:
    trade = ordered(alice)
    report(trade)
    execution = replace(execution_of(trade, 4), **changes)
    with pytest.raises(BadReport, match=reason):
        apply_report(
            account_id=trade.account_id, order=order_of(trade, "partially_filled", 4), execution=execution,
            told_by="stream",
        )  # fmt: skip
    unchanged(alice, trade)


def test_a_sale_that_turned_up_beside_another_one_is_booked_in_parts(alice: Desk) -> None:
    bought(alice, 10)
    first = ordered(alice, side="sell", quantity=10)
    cancel_trade(trade_id=first.id, actor=None)
    other = ordered(alice, side="sell", quantity=5)
    report(other)
    assert report(first).status == "cancelling"
    assert reserved(first) == (D(0), D(5)), "what the other one has left"
    assert report(first, "partially_filled", 3, fill=3).status == "cancelling"
    assert (alice.held("AAA"), reserved(first), reserved(other)) == (7, (D(0), D(2)), (D(0), D(5)))
    assert report(first, "partially_filled", 5, fill=2, number=2).status == "cancelling"
    assert (alice.held("AAA"), reserved(first), book_differences()) == (5, (D(0), D(0)), [])
    report(other, "filled", 5, fill=5)
    assert (alice.held("AAA"), book_differences()) == (0, [])


def test_what_turned_up_and_is_not_wholly_reserved_blocks_its_symbol_until_it_is_over(alice: Desk) -> None:
    bought(alice, 10)
    first = ordered(alice, side="sell", quantity=10)
    cancel_trade(trade_id=first.id, actor=None)
    other = report(ordered(alice, side="sell", quantity=6))
    assert report(first).status == "cancelling"
    report(other, "cancelled")  # six are free again, which the first one may still sell
    with pytest.raises(RecordedRefusal) as refused:
        ordered(alice, side="sell", quantity=2)
    assert refused.value.code == "UNKNOWN_OUTSTANDING"
    report(first, "cancelled")
    assert ordered(alice, side="sell", quantity=3).status == "pending"
    assert book_differences() == []


def test_what_is_cancelled_in_the_ordinary_way_blocks_nothing(alice: Desk) -> None:
    trade = ordered(alice, quantity=10)
    report(trade, "partially_filled", 4, fill=4)
    cancel_trade(trade_id=trade.id, actor=None)
    trade.refresh_from_db()
    assert trade.status == "cancelling"
    assert ordered(alice, quantity=2).status == "pending"


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (IntegrityError("new row violates a check\nDETAIL: its numbers"), BadReport),
        (ArithmeticError("a defect of ours"), BadReport),
        (OperationalError("canceling statement due to lock timeout"), OperationalError),
        (InterfaceError("connection already closed"), InterfaceError),
        (InternalError("cannot execute UPDATE in a read-only transaction"), InternalError),
    ],
)
def test_what_nobody_has_foreseen_is_said_of_the_report_and_a_database_in_trouble_is_not(
    alice: Desk, monkeypatch: pytest.MonkeyPatch, fault: Exception, raised: type[Exception]
) -> None:
    trade = ordered(alice)
    report(trade)

    def failing(*args: Any, **more: Any) -> Any:
        raise fault

    monkeypatch.setattr(order_reports, "book_fills", failing)
    with pytest.raises(raised, match=str(fault).splitlines()[0]) as error:
        report(trade, "partially_filled", 4, fill=4)
    assert "DETAIL" not in str(error.value), "what changes would be a new break each time"
    unchanged(alice, trade)


def unchanged(desk: Desk, trade: AutoTrade) -> None:
    trade.refresh_from_db()
    assert (trade.status, trade.filled_quantity, desk.held("AAA")) == ("accepted", 0, 0)
    assert not Execution.objects.exists()
    assert BrokerMessage.objects.count() == 1
    assert book_differences() == []


@pytest.mark.parametrize("price", ["10", "1000"])
def test_a_price_at_the_very_edge_of_the_collar_is_believed(alice: Desk, price: str) -> None:
    trade = ordered(alice, quantity=1)
    execution = replace(execution_of(trade, 1), price=D(price))
    order = order_of(trade, "filled", 1)
    apply_report(account_id=trade.account_id, order=order, execution=execution, told_by="stream")
    assert alice.held("AAA") == 1


def test_an_execution_that_was_told_with_other_numbers_is_not_believed(alice: Desk) -> None:
    trade = ordered(alice)
    report(trade, "partially_filled", 4, fill=4)
    with pytest.raises(BadReport, match="told before with other numbers"):
        report(trade, "partially_filled", 5, fill=5)
    assert alice.held("AAA") == 4


def test_an_order_that_is_not_ours_is_said_to_be_foreign(alice: Desk, market: Market) -> None:
    trade = ordered(alice)
    with pytest.raises(ForeignOrder, match="no trade has the client order id 'x'"):
        apply_report(
            account_id=trade.account_id, order=order_of(trade, client_order_id="x"), told_by="stream"
        )
    bob = Desk.open(market, owner="bob")
    account = connect(bob, account_number="PA2")
    with pytest.raises(BadReport, match="made for another account"):
        apply_report(account_id=account.id, order=order_of(trade), told_by="stream")


def test_who_has_lost_the_trade_reports_nothing(alice: Desk) -> None:
    trade = put(ordered(alice), status="submitting", fence=2)
    with pytest.raises(StaleClaim):
        apply_report(account_id=trade.account_id, order=order_of(trade), told_by="submit", fence=1)
    trade.refresh_from_db()
    assert trade.status == "submitting" and not BrokerMessage.objects.exists()


def test_in_a_live_market_a_fill_has_the_brokers_time_and_never_one_of_the_future(market: Market) -> None:
    market.as_of = database_now()
    market.tick(minutes=0)
    desk = Desk.open(market)
    connect(desk)
    now = database_now()
    trade, late = ordered(desk, symbol="AAA"), ordered(desk, symbol="BBB")
    for each, at in ((trade, now - timedelta(seconds=3)), (late, now + timedelta(hours=1))):
        execution = replace(execution_of(each, 10), at=at)
        apply_report(
            account_id=each.account_id, order=order_of(each, "filled", 10), execution=execution,
            told_by="stream",
        )  # fmt: skip
        each.refresh_from_db()
    assert trade.executed_at == now - timedelta(seconds=3)
    assert late.executed_at is not None and now < late.executed_at <= database_now()


def test_the_same_fill_told_by_two_at_once_is_booked_once(alice: Desk) -> None:
    trade = ordered(alice)
    report(trade)

    def tell(number: int) -> Callable[[], str]:
        return lambda: report(trade, "filled", 10, fill=5, number=number).status

    with racing(tell(1), tell(1), tell(2), tell(2)) as racers:
        racers.race()
    assert racers.errors == []
    trade.refresh_from_db()
    assert trade.status == "filled" and Execution.objects.count() == 2
    totals = TradingSession.objects.get(pk=alice.session.pk)
    assert totals.total_trades == 1
    assert book_differences() == []
