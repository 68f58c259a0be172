"""Orders go to a real broker once: claimed, looked at once more, sent, recorded; and cancelled until it is done."""

import time
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.models import F

from foundation.clock import database_now
from foundation.models import RequiredCodeVersion
from sessions.services.sessions import (
    pause_trading_session,
    resume_trading_session,
    stop_trading_session,
)
from tests.harness.at_broker import connect, ordered, report
from tests.harness.racing import racing
from tests.harness.scripted_broker import LOSE_ANSWER, REJECT, ScriptedBroker, Venue
from tests.harness.trading import Desk, Market
from tests.harness.working import limit_at, place, stop_at
from tests.integration.trading.at_brokers import Scene, clean, install, pass_time, reserved, scene, state
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    CancelRefused,
    CancelRequested,
    NotCapable,
    NotConnected,
    NotSent,
    Unknown,
)
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade, BrokerMessage, Halt, RuleAct
from trading.services import claims, gate, held_brokers
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm
from trading.services.order_management import cancel_trade
from trading.services.order_reports import apply_report
from trading.services.rounds import RUN_SECONDS
from trading.services.sending import send_due

pytestmark = pytest.mark.integration


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Scene:
    return scene(monkeypatch, desk)


def halt(scope: str = "platform", scope_id: str = "", mode: str = "halt") -> None:
    arm(scope=scope, scope_id=scope_id, mode=mode, reason="enough", actor=None)


def test_an_order_is_claimed_before_its_first_byte_and_accepted(alice: Scene) -> None:
    trade = ordered(alice.desk)
    seen: list[tuple[object, ...]] = []

    def look() -> None:
        row = AutoTrade.objects.get(pk=trade.pk)
        assert row.sent_at is not None and row.claimed_until is not None
        seen.append(
            (row.status, row.attempt, row.fence, row.claimed_until > database_now(), row.claimed_by != "")
        )

    alice.venue.hooks["before_gate"] = look
    assert send_due() == 1
    assert seen == [("submitting", 1, 1, True, True)]
    assert state(trade) == "accepted"
    assert (trade.broker_order_id, trade.claimed_by, trade.claimed_until) == (
        f"b-{trade.client_order_id}",
        "",
        None,
    )
    assert alice.venue.submits == [trade.client_order_id]
    assert reserved(trade)
    assert alice.kinds() == ["trade.created", "trade.submitting", "trade.accepted"]
    message = BrokerMessage.objects.get()
    assert (message.kind, message.outcome, message.attempt) == ("submit", "accepted", 1)
    assert message.sent_at == trade.sent_at and message.answered_at > message.sent_at
    assert send_due() == 0
    assert clean()


def test_a_rejected_order_gives_everything_back_and_its_rule_has_not_acted(alice: Scene) -> None:
    rule = {
        "name": "Buys", "rule_type": "entry", "cooldown": {"minutes": 600, "per": "symbol"},
        "conditions": [{"field": "price", "operator": "greater_than", "value": 1}],
        "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 1}],
    }  # fmt: skip
    alice.desk.add_rule(**rule)
    alice.desk.market.tick()
    alice.desk.evaluate()
    trades = alice.desk.trades()
    acts = RuleAct.objects.count()
    assert trades and acts == len(trades)
    alice.venue.on_submit = [REJECT] * len(trades)
    assert send_due() == len(trades)
    assert {state(trade) for trade in trades} == {"rejected"}
    assert trades[0].status_reason == "not enough buying power (403)"
    assert RuleAct.objects.count() == 0
    assert not any(reserved(trade) for trade in trades)
    assert alice.kinds()[-1] == "trade.rejected"
    assert clean()


def test_a_lost_answer_is_unknown_its_exposure_kept_and_its_symbol_blocked(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.on_submit = [LOSE_ANSWER]
    send_due()
    assert state(trade) == "unknown"
    assert reserved(trade) and trade.ask_at is not None and trade.ask_at > database_now()
    assert alice.alerts() == [("trade.unknown", "warning")]
    with pytest.raises(Exception, match="UNKNOWN_OUTSTANDING"):
        ordered(alice.desk, quantity=3)
    pass_time(3)
    send_due()
    assert alice.venue.submits == [trade.client_order_id], "nothing is sent twice by the sender"
    assert clean()


def test_an_order_whose_portfolio_is_busy_is_come_back_to_in_the_same_round(
    alice: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = ordered(alice.desk)
    tries: list[float] = []
    lock_free = claims.lock_free

    def busy_at_first(trade_id: uuid.UUID) -> object:
        tries.append(time.monotonic())
        if len(tries) <= 2:
            raise claims.Busy("an evaluation has it")
        return lock_free(trade_id)

    monkeypatch.setattr(claims, "lock_free", busy_at_first)
    assert send_due() == 1
    assert (len(tries), state(trade)) == (3, "accepted")
    assert alice.venue.submits == [trade.client_order_id]


def test_a_portfolio_that_stays_busy_is_left_to_the_next_round(alice: Scene) -> None:
    trade = ordered(alice.desk)
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            query = "SELECT 1 FROM portfolios_portfolio WHERE id = %s FOR NO KEY UPDATE"
            cursor.execute(query, [trade.portfolio_id])
        began = time.monotonic()
        assert send_due() == 0
        assert time.monotonic() - began < RUN_SECONDS
    finally:
        other.close()
    assert (state(trade), alice.venue.submits) == ("pending", [])
    assert send_due() == 1


@pytest.mark.parametrize(
    ("failure", "becomes", "reason"),
    [
        (NotCapable("no trailing stops"), "rejected", "no trailing stops (not_capable)"),
        (BadReport("a price is NaN"), "unknown", "its answer cannot be true: a price is NaN"),
        (RuntimeError("a bug"), "unknown", "sending failed: RuntimeError"),
    ],
)
def test_whatever_an_adapter_raises_is_settled(
    alice: Scene, failure: Exception, becomes: str, reason: str
) -> None:
    trade = ordered(alice.desk)
    alice.venue.on_submit = [failure]
    send_due()
    assert (state(trade), trade.status_reason) == (becomes, reason)
    assert reserved(trade) == (becomes == "unknown")
    assert clean()


@pytest.mark.parametrize("where", ["platform", "account", "portfolio", "symbol"])
def test_a_halt_between_claim_and_gate_stops_the_order(alice: Scene, where: str) -> None:
    trade = ordered(alice.desk)
    scope_id = {
        "platform": "", "account": str(trade.account_id), "portfolio": str(trade.portfolio_id), "symbol": "AAA",
    }[where]  # fmt: skip
    alice.venue.hooks["before_gate"] = lambda: halt(where, scope_id)
    send_due()
    assert alice.venue.submits == []
    assert state(trade) == "cancelled"
    assert trade.status_reason.startswith(f"HALTED: halt on {where}") and "enough" in trade.status_reason
    assert not reserved(trade)
    assert clean()


def test_a_halt_of_entries_lets_a_sell_through(alice: Scene) -> None:
    buy = ordered(alice.desk)
    send_due()
    alice.venue.fill(buy.client_order_id, 10)
    tell_all(alice)
    sell = ordered(alice.desk, side="sell", quantity=4)
    alice.venue.hooks["before_gate"] = lambda: halt(mode="reduce_only")
    send_due()
    assert state(sell) == "accepted"
    assert clean()


def tell_all(where: Scene) -> None:
    """As a stream would: every execution with its order as it is."""
    for execution in where.venue.executions:
        order = where.venue.orders[execution.client_order_id]
        trade = AutoTrade.objects.get(client_order_id=execution.client_order_id)
        apply_report(account_id=trade.account_id, order=order, execution=execution, told_by="stream")


def test_a_halt_that_is_there_already_cancels_without_a_claim(alice: Scene) -> None:
    trade = ordered(alice.desk)
    Halt.objects.create(scope="symbol", scope_id="AAA", reason="enough")
    assert send_due() == 1
    assert (state(trade), trade.fence) == ("cancelled", 0)
    assert alice.venue.submits == []


def test_a_halt_is_drained_only_when_the_order_on_its_way_is_settled(alice: Scene) -> None:
    trade = ordered(alice.desk)
    drained: list[int] = []

    def stop() -> None:
        halt()
        drained.append(drain_all())

    alice.venue.hooks["after_gate"] = stop
    send_due()
    assert drained == [0], "its bytes are on their way"
    assert state(trade) == "cancelling", "the stop has wished for it meanwhile"
    assert drain_all() == 0
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]
    alice.venue.end(trade.client_order_id, OrderState.CANCELLED)
    apply_report(
        account_id=trade.account_id, order=alice.venue.orders[trade.client_order_id], told_by="stream"
    )
    assert drain_all() == 1
    assert Halt.objects.get().drained_at is not None


def test_a_wish_to_cancel_between_claim_and_gate_stops_the_order(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["before_gate"] = lambda: cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    send_due()
    assert alice.venue.submits == []
    assert state(trade) == "cancelled"
    assert clean()


def test_a_wish_to_cancel_after_the_gate_is_carried_out_once_it_is_accepted(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["after_gate"] = lambda: cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    send_due()
    assert state(trade) == "cancelling"
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]


def test_who_has_lost_the_claim_sends_and_records_nothing(alice: Scene) -> None:
    trade = ordered(alice.desk)

    def steal() -> None:
        AutoTrade.objects.filter(pk=trade.pk).update(fence=F("fence") + 1, claimed_by="another")

    alice.venue.hooks["before_gate"] = steal
    send_due()
    assert alice.venue.submits == []
    assert (state(trade), trade.claimed_by) == ("submitting", "another")
    assert not BrokerMessage.objects.exists()


def test_who_loses_the_claim_while_sending_records_nothing(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["taken"] = lambda: AutoTrade.objects.filter(pk=trade.pk).update(fence=F("fence") + 1)
    send_due()
    assert alice.venue.submits == [trade.client_order_id]
    assert (state(trade), trade.broker_order_id) == ("submitting", "")
    assert not BrokerMessage.objects.exists()


def test_a_claim_that_does_not_last_until_the_deadline_sends_nothing_and_waits(alice: Scene) -> None:
    trade = ordered(alice.desk)

    def shorten() -> None:
        AutoTrade.objects.filter(pk=trade.pk).update(claimed_until=database_now() + timedelta(seconds=2))

    alice.venue.hooks["before_gate"] = shorten
    send_due()
    assert alice.venue.submits == []
    assert (state(trade), trade.claimed_by) == ("pending", "")
    assert reserved(trade)
    del alice.venue.hooks["before_gate"]
    send_due()
    assert (state(trade), trade.attempt) == ("accepted", 2)
    assert clean()


def test_a_look_that_takes_too_long_is_repeated_and_at_last_given_up(
    alice: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade, late = ordered(alice.desk), ordered(alice.desk, symbol="BBB")
    slow = [0.06, 0.06, 0.0, *[0.06] * gate.LOOKS_MAX]
    look = gate.Look._look

    def look_slowly(self: gate.Look) -> None:
        look(self)
        time.sleep(slow.pop(0))

    monkeypatch.setattr(gate, "LOOK_SECONDS_MAX", 0.05)
    monkeypatch.setattr(gate.Look, "_look", look_slowly)
    send_due()
    assert (slow, state(trade)) == ([], "accepted"), "the third look was young enough"
    assert state(late) == "pending" and "took longer than 0.05 s, 5 times" in late.status_reason
    assert alice.venue.submits == [trade.client_order_id]


@pytest.mark.parametrize("fault", [OperationalError("the server is away"), InterfaceError("it is closed")])
def test_a_look_that_the_database_does_not_answer_sends_nothing_and_the_order_waits(
    alice: Scene, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    trade = ordered(alice.desk)

    class Away:
        def cursor(self) -> Any:
            raise fault

    monkeypatch.setattr(gate, "connection", Away())
    send_due()
    assert (alice.venue.submits, state(trade), trade.claimed_by) == ([], "pending", "")
    assert "the database did not answer" in trade.status_reason


def test_an_entry_that_was_pending_at_a_pause_is_not_sent_though_the_session_goes_on(alice: Scene) -> None:
    """An order by hand is sent all the same, and what the rules decide after it."""
    by_hand = ordered(alice.desk, symbol="CCC")
    alice.desk.market.advise("AAA")
    alice.desk.market.tick()
    alice.desk.evaluate()
    (entry,) = [trade for trade in alice.desk.trades() if trade.origin == "rule"]
    pause_trading_session(session_id=alice.desk.session.id, actor=alice.desk.owner)
    resume_trading_session(session_id=alice.desk.session.id, actor=alice.desk.owner)
    send_due()
    assert alice.venue.submits == [by_hand.client_order_id]
    assert (state(entry), entry.status_reason) == (
        "cancelled",
        "its session was paused after it was decided",
    )
    assert not reserved(entry)
    alice.desk.market.tick()
    alice.desk.evaluate()
    send_due()
    (again,) = [t for t in alice.desk.trades() if t.origin == "rule" and t.id != entry.id]
    assert alice.venue.submits == [by_hand.client_order_id, again.client_order_id]
    assert clean()


def test_a_stopped_session_a_changed_rule_or_another_code_sends_nothing(alice: Scene) -> None:
    alice.desk.market.advise("AAA")
    alice.desk.market.tick()
    alice.desk.evaluate()
    (trade,) = alice.desk.trades()
    RequiredCodeVersion.objects.update_or_create(defaults={"version": "another"})
    assert send_due() == 0
    assert state(trade) == "pending"
    RequiredCodeVersion.objects.all().delete()
    stop_trading_session(session_id=alice.desk.session.id, actor=alice.desk.owner)
    send_due()
    assert (state(trade), trade.status_reason) == ("cancelled", "its session is stopping")
    assert alice.venue.submits == []


def test_a_market_order_waits_for_an_open_market_and_expires(alice: Scene, market: Market) -> None:
    trade = ordered(alice.desk)
    market.is_open = False
    market.tick()
    assert send_due() == 0
    assert state(trade) == "pending"
    pass_time(61)
    send_due()
    assert (state(trade), trade.status_reason) == ("expired", "the market is closed")
    assert alice.venue.submits == []
    assert clean()


def test_a_market_order_that_waited_too_long_for_a_sender_expires(alice: Scene) -> None:
    trade = ordered(alice.desk)
    pass_time(61)
    send_due()
    assert (state(trade), trade.status_reason) == ("expired", "it could not be sent within 60 seconds")
    assert clean()


TRAILING = OrderTerms(OrderType.TRAILING_STOP, TimeInForce.GTC, trail_percentage=Decimal(3))


@pytest.mark.parametrize(
    ("terms", "side", "price", "goes_out"),
    [
        (stop_at(105), "buy", 140, False),
        (stop_at(105), "buy", 107, True),  # within the cushion
        (TRAILING, "buy", 140, False),  # its stop would begin at 144.20
        (TRAILING, "buy", 90, True),
        (limit_at(105, gtc=True), "buy", 140, True),  # it pays no more than 105
        (stop_at(95), "sell", 60, True),
        (TRAILING, "sell", 60, True),
    ],
)
def test_a_stop_that_waited_while_its_price_ran_away_buys_nothing(
    alice: Scene, market: Market, terms: OrderTerms, side: str, price: float, goes_out: bool
) -> None:
    """On Friday the keys are refused, and on Monday they are replaced."""
    if side == "sell":
        report(ordered(alice.desk), "filled", 10, fill=10)
    trade = place(alice.desk, terms, side=side, quantity=10)

    def refuse() -> None:
        raise NotConnected("the keys were refused")

    alice.venue.hooks["before_gate"] = refuse
    send_due()
    assert state(trade) == "pending" and reserved(trade)
    alice.venue.hooks.clear()
    market.tick(minutes=3 * 24 * 60, AAA=price)
    pass_time(3 * 24 * 3600)
    send_due()
    if goes_out:
        assert state(trade) == "accepted"
    else:
        assert state(trade) == "expired" and not reserved(trade)
        assert trade.status_reason.startswith("its price ran away to 140.14 before it could be sent")
        assert trade.client_order_id not in alice.venue.submits
    assert clean()


@pytest.mark.parametrize(
    ("side", "price", "state_after"),
    [("buy", 103, "expired"), ("buy", 101, "accepted"), ("buy", 70, "accepted"), ("sell", 70, "accepted")],
)
def test_a_market_buy_whose_price_ran_away_within_its_minute_buys_nothing(
    alice: Scene, market: Market, side: str, price: float, state_after: str
) -> None:
    if side == "sell":
        report(ordered(alice.desk), "filled", 10, fill=10)
    trade = ordered(alice.desk, side=side)
    market.tick(AAA=price)
    send_due()
    assert state(trade) == state_after
    if state_after == "expired":
        assert trade.status_reason.startswith("its price ran away to 103.1 before it could be sent")
        assert not reserved(trade) and alice.venue.submits == []
    assert clean()


def test_a_limit_order_goes_out_while_the_market_is_closed(alice: Scene, market: Market) -> None:
    trade = ordered(alice.desk)
    AutoTrade.objects.filter(pk=trade.pk).update(order_type="limit", limit_price=99)
    market.is_open = False
    market.tick()
    pass_time(600)
    send_due()
    assert state(trade) == "accepted"


def test_an_account_without_a_connection_waits_is_told_once_and_does_not_spin(
    alice: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = ordered(alice.desk)
    tries: list[object] = []

    def refuse(account: object) -> ScriptedBroker:
        tries.append(account)
        raise NotConnected("the keys were refused")

    monkeypatch.setattr(held_brokers, "broker_of", refuse)
    for _ in range(3):
        send_due()
    assert len(tries) == 1, "it is paused"
    assert (state(trade), trade.fence) == ("pending", 0)
    held_brokers.pauses.clear()
    send_due()
    assert len(tries) == 2
    assert alice.alerts() == [("broker.not_connected", "critical")]
    assert reserved(trade)


def test_a_connection_that_is_refused_while_sending_gives_the_order_back(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["before_gate"] = refuse_keys
    send_due()
    send_due()
    assert (state(trade), trade.attempt, trade.claimed_by) == ("pending", 1, "")
    assert alice.alerts() == [("broker.not_connected", "critical")]
    assert alice.venue.closed == 1
    alice.venue.hooks.clear()
    held_brokers.pauses.clear()
    send_due()
    assert state(trade) == "accepted"
    assert clean()


def refuse_keys() -> None:
    raise NotConnected("the keys were refused")


def test_an_order_of_which_no_byte_has_left_waits_and_is_sent_once_the_broker_is_back(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["before_gate"] = refuse_connection
    for attempt in (1, 2):
        send_due()
        assert (state(trade), trade.attempt, trade.claimed_by) == ("pending", attempt, "")
        assert reserved(trade)
        send_due()
        assert (state(trade), trade.attempt) == ("pending", attempt), "the account is paused"
        held_brokers.pauses.clear()
    assert "trade.unknown" not in alice.kinds() and alice.venue.submits == alice.venue.asks == []
    alice.venue.hooks.clear()
    send_due()
    assert (state(trade), alice.venue.submits) == ("accepted", [trade.client_order_id])
    assert [m.outcome for m in BrokerMessage.objects.order_by("id")] == ["not_sent", "not_sent", "accepted"]
    assert clean()


def test_an_order_that_could_not_be_sent_keeps_its_age(alice: Scene) -> None:
    trade = ordered(alice.desk)
    alice.venue.hooks["before_gate"] = refuse_connection
    send_due()
    pass_time(61)
    send_due()
    assert (state(trade), reserved(trade)) == ("expired", False)
    assert alice.venue.submits == []


def refuse_connection() -> None:
    raise NotSent("the connection broke (ConnectError); nothing was sent")


def test_a_broker_that_hangs_does_not_hold_up_the_other_accounts(
    monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    market.tick()
    first, second = Desk.open(market, owner="alice"), Desk.open(market, owner="bob")
    hanging, healthy = Venue(), Venue()
    accounts = connect(first, account_number="PA1"), connect(second, account_number="PA2")
    install(monkeypatch, {accounts[0].id: hanging, accounts[1].id: healthy})
    mine = [ordered(first, symbol=symbol) for symbol in ("AAA", "BBB", "CCC")]
    theirs = [ordered(second, symbol=symbol) for symbol in ("AAA", "BBB", "CCC")]
    hanging.on_submit = [LOSE_ANSWER] * 3
    send_due()
    assert [state(trade) for trade in theirs] == ["accepted"] * 3
    assert [state(trade) for trade in mine] == ["unknown", "pending", "pending"], "it is paused"
    assert clean()


def test_what_was_made_together_is_sent_in_the_order_in_which_it_was_made(alice: Scene) -> None:
    """Whatever was decided first, not by chance."""
    made = [ordered(alice.desk, symbol=symbol) for symbol in ("CCC", "AAA", "BBB")]
    AutoTrade.objects.update(created_at=made[0].created_at)
    send_due()
    assert list(alice.venue.submits) == [trade.client_order_id for trade in made]


def test_two_senders_at_once_send_each_order_once(alice: Scene) -> None:
    trades = [ordered(alice.desk, symbol=symbol) for symbol in ("AAA", "BBB", "CCC")]
    with racing(send_due, send_due, send_due) as racers:
        for _ in range(4):
            racers.race()
    assert racers.errors == []
    assert sorted(alice.venue.submits) == sorted(trade.client_order_id for trade in trades)
    assert {state(trade) for trade in trades} == {"accepted"}
    assert clean()


def working(where: Scene) -> AutoTrade:
    trade = ordered(where.desk)
    send_due()
    return trade


def test_a_cancel_is_asked_for_until_the_broker_says_it_is_done(alice: Scene) -> None:
    trade = working(alice)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    send_due()
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]
    assert state(trade) == "cancelling" and reserved(trade)
    pass_time(5)
    send_due()
    assert len(alice.venue.cancels) == 2, "once more after a while"
    alice.venue.end(trade.client_order_id, "cancelled")  # type: ignore[arg-type]
    pass_time(5)
    send_due()
    assert (state(trade), reserved(trade)) == ("cancelled", False)
    assert [m.outcome for m in BrokerMessage.objects.filter(kind="cancel").order_by("id")] == [
        "requested", "requested", "cancelled",
    ]  # fmt: skip
    assert clean()


def test_a_fill_that_was_faster_than_the_cancel_is_fetched_and_booked(alice: Scene) -> None:
    trade = working(alice)
    alice.venue.fill(trade.client_order_id, 10)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    send_due()
    assert (state(trade), trade.filled_quantity) == ("filled", 10)
    assert alice.desk.held("AAA") == 10
    assert clean()


def test_a_cancelled_order_keeps_the_part_that_was_filled(alice: Scene) -> None:
    trade = working(alice)
    alice.venue.fill(trade.client_order_id, 4)
    alice.venue.end(trade.client_order_id, "cancelled")  # type: ignore[arg-type]
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    send_due()
    assert (state(trade), trade.filled_quantity, alice.desk.held("AAA")) == ("cancelled", 4, 4)
    assert not reserved(trade)
    assert clean()


@pytest.mark.parametrize("failure", [Unknown("no answer"), AskFailed("no answer"), BadReport("NaN")])
def test_a_cancel_without_an_answer_is_repeated(alice: Scene, failure: Unknown | Exception) -> None:
    trade = working(alice)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    alice.venue.on_cancel = [failure]  # type: ignore[list-item]
    send_due()
    assert (state(trade), trade.asks) == ("cancelling", 1)
    pass_time(5)
    send_due()
    assert alice.venue.cancels == [trade.client_order_id] * 2
    assert clean()


def test_a_cancel_that_was_refused_although_it_works_is_repeated(alice: Scene) -> None:
    trade = working(alice)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    alice.venue.on_cancel = [CancelRefused("pending new"), CancelRequested()]
    send_due()
    assert state(trade) == "cancelling"
    pass_time(5)
    send_due()
    assert alice.venue.on_cancel == []


def test_an_order_that_the_broker_does_not_know_any_more_is_in_doubt(alice: Scene) -> None:
    trade = working(alice)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    alice.venue.orders.clear()
    send_due()
    assert state(trade) == "unknown" and trade.cancel_requested_at is not None
    assert reserved(trade)
    assert clean()


def test_the_cancel_of_a_worker_that_was_lost_is_taken_over(alice: Scene) -> None:
    trade = working(alice)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    AutoTrade.objects.filter(pk=trade.pk).update(
        claimed_by="lost", claimed_until=database_now() + timedelta(seconds=2), fence=F("fence") + 1
    )
    send_due()
    assert alice.venue.cancels == []
    pass_time(3)
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]
