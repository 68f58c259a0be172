"""What nobody knows is asked for by its one id, never guessed, and sent again only when nothing of it can be there."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as django_settings

from foundation.clock import database_now
from foundation.models import RequiredCodeVersion
from tests.harness.at_broker import order_of, ordered
from tests.harness.racing import racing
from tests.harness.scripted_broker import LOSE_ANSWER, LOSE_ORDER, REJECT
from tests.harness.trading import Desk, Market
from tests.integration.trading.at_brokers import Scene, clean, pass_time, reserved, scene, state
from trading import tasks
from trading.brokers.protocol import AskFailed, NotConnected, NotSent
from trading.models import AutoTrade, BrokerMessage, Halt, OrderMessage
from trading.services.order_management import cancel_trade
from trading.services.recovery import recover_due
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
# Lease, deadline and settling, of the default settings.
SETTLED_SECONDS = 4 + 3 + 60


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Scene:
    return scene(monkeypatch, desk)


def unknown(where: Scene, *, taken: bool) -> AutoTrade:
    """Sent, and the answer lost; the venue has it or not."""
    trade = ordered(where.desk)
    where.venue.on_submit = [LOSE_ANSWER if taken else LOSE_ORDER]
    send_due()
    assert state(trade) == "unknown"
    return trade


def ask_until(trade: AutoTrade, *, seconds: float, step: float = 31) -> None:
    """Let so much time pass since it was sent, asking now and then."""
    passed = 0.0
    while passed < seconds:
        span = min(step, seconds - passed)
        pass_time(span)
        passed += span
        recover_due()


def test_an_order_whose_answer_was_lost_is_found_by_its_id_and_sent_once(alice: Scene) -> None:
    trade = unknown(alice, taken=True)
    assert recover_due() == 0, "it is not due yet"
    pass_time(1)
    assert recover_due() == 1
    assert (state(trade), trade.broker_order_id) == ("accepted", f"b-{trade.client_order_id}")
    assert (trade.asks, trade.ask_at, trade.claimed_until) == (0, None, None)
    assert alice.venue.submits == alice.venue.asks == [trade.client_order_id]
    assert reserved(trade)
    assert [m.outcome for m in BrokerMessage.objects.order_by("id")] == ["unknown", "accepted"]
    assert clean()


def test_an_order_that_was_filled_meanwhile_is_found_with_its_fills(alice: Scene) -> None:
    trade = unknown(alice, taken=True)
    alice.venue.fill(trade.client_order_id, 4)
    alice.venue.fill(trade.client_order_id, 6)
    pass_time(1)
    recover_due()
    assert (state(trade), trade.filled_quantity, alice.desk.held("AAA")) == ("filled", 10, 10)
    assert clean()


def test_a_worker_that_has_only_orders_to_send_takes_over_lost_claims_first(
    alice: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With much to send the queue holds little else, and a lost claim must not wait for a task of its own."""
    monkeypatch.setattr(
        tasks, "watch_platform", lambda: None
    )  # nobody beats here, and that is noticed in the end
    lost = ordered(alice.desk)
    AutoTrade.objects.filter(pk=lost.pk).update(
        status="submitting", fence=1, attempt=1, claimed_by="gone", sent_at=database_now(),
        claimed_until=database_now() - timedelta(seconds=1),
    )  # fmt: skip
    waiting = ordered(alice.desk, symbol="BBB")
    tasks.send_due()
    assert (state(lost), alice.venue.asks) == ("unknown", [lost.client_order_id])
    assert (state(waiting), alice.venue.submits) == ("accepted", [waiting.client_order_id])


def test_a_claim_whose_worker_was_lost_is_taken_over_when_its_lease_is_over(alice: Scene) -> None:
    trade = ordered(alice.desk)
    AutoTrade.objects.filter(pk=trade.pk).update(
        status="submitting", fence=1, attempt=1, claimed_by="gone", sent_at=database_now(),
        claimed_until=database_now() + timedelta(seconds=4),
    )  # fmt: skip
    assert recover_due() == 0
    pass_time(5)
    recover_due()
    assert state(trade) == "unknown" and trade.fence > 1
    assert trade.status_reason == "its worker was lost (gone)"
    assert alice.venue.asks == [trade.client_order_id], "it is asked for at once"
    assert alice.alerts() == [("trade.unknown", "warning")]
    assert reserved(trade)
    assert clean()


def test_no_such_order_is_not_believed_before_everything_can_have_arrived(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    ask_until(trade, seconds=SETTLED_SECONDS - 20)  # a slow machine's own seconds come on top
    assert state(trade) == "unknown"
    assert len(alice.venue.submits) == 1 and len(alice.venue.asks) >= 2
    ask_until(trade, seconds=51)
    assert alice.venue.submits == [trade.client_order_id] * 2, "then the same id is sent again, once"
    assert (state(trade), trade.attempt) == ("accepted", 2)
    assert [k for k in alice.kinds() if k == "trade.submitting"] == ["trade.submitting"] * 2
    assert OrderMessage.objects.filter(kind="submit").count() == 2
    assert clean()


def test_a_late_order_is_found_although_it_was_not_there_before(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    pass_time(1)
    recover_due()
    alice.venue.put(replace(order_of(trade), broker_order_id="late"))
    pass_time(5)
    recover_due()
    assert (state(trade), trade.broker_order_id) == ("accepted", "late")
    assert len(alice.venue.submits) == 1


def sent_again(where: Scene, trade: AutoTrade, *, there: bool) -> None:
    """It was lost by all that the broker says, and is refused when it is sent again; maybe because it is there."""

    def refuse() -> None:
        if there:
            where.venue.put(replace(order_of(trade), broker_order_id="late"))

    where.venue.on_submit = [REJECT]
    where.venue.hooks["taken"] = refuse
    until_sent_again(where)
    where.venue.hooks.clear()


def until_sent_again(where: Scene) -> None:
    for _ in range(6):
        pass_time(31)
        recover_due()
        if len(where.venue.submits) == 2:
            return
    pytest.fail("it was not sent again")


def test_a_refusal_of_the_second_sending_is_no_end_while_the_first_is_there(alice: Scene) -> None:
    """It was refused because the first one holds the money."""
    trade = unknown(alice, taken=False)
    sent_again(alice, trade, there=True)
    assert state(trade) == "unknown" and reserved(trade)
    assert "there is one of this id" in trade.status_reason
    pass_time(2)
    recover_due()
    assert (state(trade), trade.broker_order_id) == ("accepted", "late")
    assert len(alice.venue.submits) == 2
    assert clean()


def test_a_refusal_of_the_second_sending_ends_what_the_broker_does_not_have(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    sent_again(alice, trade, there=False)
    assert (state(trade), reserved(trade)) == ("rejected", False)
    assert clean()


def test_a_refusal_of_the_second_sending_of_which_nobody_can_be_asked_is_unknown(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    alice.venue.on_submit = [REJECT]
    alice.venue.hooks["taken"] = lambda: alice.venue.on_ask.append(AskFailed("away"))
    until_sent_again(alice)
    assert state(trade) == "unknown" and reserved(trade)
    assert "cannot be asked: away" in trade.status_reason


@pytest.mark.parametrize("error", [NotConnected("the keys were refused"), NotSent("no connection")], ids=str)
def test_a_second_sending_that_does_not_go_out_leaves_it_unknown(alice: Scene, error: Exception) -> None:
    """The first one may still be there."""
    trade = unknown(alice, taken=False)

    def fail() -> None:
        raise error

    alice.venue.hooks["before_gate"] = fail
    ask_until(trade, seconds=SETTLED_SECONDS + 31)
    assert (state(trade), trade.attempt) == ("unknown", 2) and reserved(trade)
    assert len(alice.venue.submits) == 1


@pytest.mark.parametrize("hindrance", ["halt", "closed", "code", "rule", "price"])
def test_what_may_not_go_out_any_more_is_not_sent_again(alice: Scene, market: Market, hindrance: str) -> None:
    if hindrance == "rule":
        market.advise("AAA")
        market.tick()
        alice.desk.evaluate()
        (trade,) = alice.desk.trades()
        alice.venue.on_submit = [LOSE_ORDER]
        send_due()
    else:
        trade = unknown(alice, taken=False)
    if hindrance == "halt":
        Halt.objects.create(scope="symbol", scope_id="AAA", reason="enough")
    elif hindrance == "closed":
        market.is_open = False
        market.tick()
    elif hindrance == "price":
        market.tick(AAA=140)  # far beyond what is reserved for it
    elif hindrance == "rule":
        assert trade.rule is not None
        trade.rule.is_active = False
        trade.rule.save()
    else:
        RequiredCodeVersion.objects.update_or_create(defaults={"version": "another"})
    ask_until(trade, seconds=SETTLED_SECONDS + 1)
    assert len(alice.venue.submits) == 1
    if hindrance == "code":
        assert state(trade) == "unknown" and reserved(trade)
        return
    assert state(trade) == "expired" and not reserved(trade)
    assert "the broker does not have it" in trade.status_reason
    assert clean()


def test_a_halt_at_the_gate_of_the_second_sending_ends_it(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    alice.venue.hooks["before_gate"] = lambda: Halt.objects.create(
        scope="symbol", scope_id="AAA", reason="enough"
    )
    ask_until(trade, seconds=SETTLED_SECONDS + 1)
    assert state(trade) == "cancelled" and len(alice.venue.submits) == 1
    assert clean()


def test_the_cancel_of_an_unknown_is_carried_out_when_it_is_known(alice: Scene) -> None:
    trade = unknown(alice, taken=True)
    assert cancel_trade(trade_id=trade.id, actor=alice.desk.owner).status == "unknown"
    pass_time(1)
    recover_due()
    assert state(trade) == "cancelling"
    send_due()
    assert alice.venue.cancels == [trade.client_order_id]
    assert clean()


def test_the_cancel_of_an_unknown_that_is_not_there_ends_it_instead_of_a_second_sending(
    alice: Scene,
) -> None:
    trade = unknown(alice, taken=False)
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    ask_until(trade, seconds=SETTLED_SECONDS + 1)
    assert (state(trade), trade.status_reason) == ("cancelled", "by alice")
    assert len(alice.venue.submits) == 1 and not reserved(trade)
    assert clean()


def test_a_broker_that_cannot_say_is_asked_with_backoff_then_a_person_must_look(
    alice: Scene, settings: Any
) -> None:
    settings.BROKER_QUARANTINE_SECONDS = 100.0
    trade = unknown(alice, taken=True)
    alice.venue.on_ask = [AskFailed("HTTP 429", retry_after_seconds=45), *[AskFailed("no answer")] * 4]
    pass_time(1)
    recover_due()
    assert state(trade) == "unknown" and trade.ask_at is not None
    assert trade.ask_at - database_now() > timedelta(seconds=40), "its word is respected"
    pass_time(44)
    recover_due()
    assert len(alice.venue.asks) == 1
    ask_until(trade, seconds=62)
    assert state(trade) == "quarantined"
    assert trade.status_reason.startswith("the broker could not say for ")
    assert ("trade.quarantined", "critical") in alice.alerts()
    assert reserved(trade)
    alice.venue.on_ask.clear()
    asked = len(alice.venue.asks)
    pass_time(50)
    recover_due()
    assert len(alice.venue.asks) == asked, "asked on at a slow pace"
    pass_time(11)
    recover_due()
    assert state(trade) == "accepted", "and settled when the broker can say"
    assert clean()


def test_a_quarantined_order_that_is_not_there_expires_and_is_not_sent(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    AutoTrade.objects.filter(pk=trade.pk).update(status="quarantined")
    ask_until(trade, seconds=SETTLED_SECONDS + 61)
    assert state(trade) == "expired" and len(alice.venue.submits) == 1
    assert clean()


def test_an_answer_that_cannot_be_true_settles_nothing(alice: Scene, settings: Any) -> None:
    settings.BROKER_QUARANTINE_SECONDS = 30.0
    trade = unknown(alice, taken=True)
    order = alice.venue.orders[trade.client_order_id]
    alice.venue.put(replace(order, symbol="BBB"))
    pass_time(1)
    recover_due()
    assert state(trade) == "unknown" and trade.broker_order_id == ""
    assert ("reconciliation.break", "critical") in alice.alerts()
    alice.venue.put(replace(order, quantity=Decimal("NaN")))
    pass_time(31)
    recover_due()
    assert state(trade) == "quarantined" and reserved(trade)
    assert clean()


def test_an_order_that_the_broker_had_and_does_not_know_any_more_is_quarantined(alice: Scene) -> None:
    trade = ordered(alice.desk)
    send_due()
    cancel_trade(trade_id=trade.id, actor=alice.desk.owner)
    alice.venue.orders.clear()
    send_due()
    assert state(trade) == "unknown"
    ask_until(trade, seconds=SETTLED_SECONDS + 1)
    assert state(trade) == "quarantined" and reserved(trade)
    assert len(alice.venue.submits) == 1
    assert clean()


def test_two_who_recover_at_once_send_it_again_once(alice: Scene) -> None:
    trade = unknown(alice, taken=False)
    pass_time(SETTLED_SECONDS + 1)
    with racing(recover_due, recover_due, send_due) as racers:
        for _ in range(3):
            racers.race()
    assert racers.errors == []
    assert alice.venue.submits == [trade.client_order_id] * 2
    assert state(trade) == "accepted"
    assert clean()


def test_the_settling_time_is_that_of_the_settings() -> None:
    assert SETTLED_SECONDS == (
        django_settings.BROKER_LEASE_SECONDS
        + django_settings.BROKER_DEADLINE_SECONDS
        + django_settings.BROKER_SETTLE_SECONDS
    )
