"""An order whose end at the broker cannot be true has a way out: it is in doubt, then a person ends it."""

from typing import Any

import pytest

from foundation.clock import database_now
from journal.models import Entry
from portfolios.models import Reservation
from tests.harness.at_broker import execution_of, order_of, ordered
from tests.harness.at_simulator import AtSimulator
from tests.harness.trading import Desk
from tests.harness.working import limit_at, place
from tests.integration.trading.at_brokers import clean, pass_time, reserved, scene, state
from tests.integration.trading.steps import risk_officer
from trading.brokers.protocol import BadReport
from trading.models import AutoTrade, BrokerMessage, Halt
from trading.services.order_management import cancel_trade
from trading.services.recovery import recover_due
from trading.services.sending import send_due
from trading.services.settling import settle_by_hand

pytestmark = pytest.mark.integration


def working(at: AtSimulator) -> AutoTrade:
    trade = ordered(at.desk)
    send_due()
    assert state(trade) == "accepted"
    return trade


def cancel(at: AtSimulator, trade: AutoTrade) -> None:
    """Alice wishes it, and the broker is asked."""
    cancel_trade(trade_id=trade.id, actor=at.desk.owner)
    send_due()


def until_quarantined(trade: AutoTrade) -> None:
    """Asked again and again, which settles nothing."""
    for _ in range(6):
        pass_time(31)
        recover_due()
    assert state(trade) == "quarantined"


def ended_by_bob(at: AtSimulator, trade: AutoTrade) -> None:
    settle_by_hand(
        trade_id=trade.pk, state="cancelled", explanation="It is over there", actor=risk_officer(at.desk)
    )
    assert state(trade) == "cancelled"
    assert not Reservation.objects.exists()
    assert clean()


def test_an_order_that_is_rejected_with_fills_can_be_ended(at_simulator: AtSimulator, settings: Any) -> None:
    settings.BROKER_QUARANTINE_SECONDS = 100.0
    trade = working(at_simulator)
    at_simulator.simulator.fill(trade.client_order_id, quantity=5)
    at_simulator.reconcile()
    at_simulator.simulator.reject(trade.client_order_id)
    at_simulator.reconcile()
    assert state(trade) == "partially_filled" and Halt.objects.filter(scope="account").exists()
    cancel(at_simulator, trade)
    assert state(trade) == "unknown" and "it is rejected, and has fills" in trade.status_reason
    until_quarantined(trade)
    assert reserved(trade)
    ended_by_bob(at_simulator, trade)
    assert (trade.filled_quantity, at_simulator.desk.held("AAA")) == (5, 5)


def test_an_order_whose_fill_cannot_be_booked_can_be_ended(at_simulator: AtSimulator, settings: Any) -> None:
    settings.BROKER_QUARANTINE_SECONDS = 100.0
    trade = working(at_simulator)
    at_simulator.simulator.fill(trade.client_order_id, quantity=4)
    at_simulator.simulator.fill(trade.client_order_id, quantity=6, price=5_000)
    cancel(at_simulator, trade)
    assert state(trade) == "unknown" and "more than 10 times away" in trade.status_reason
    assert trade.filled_quantity == 4, "what can be true is booked"
    until_quarantined(trade)
    ended_by_bob(at_simulator, trade)
    assert (trade.filled_quantity, at_simulator.desk.held("AAA")) == (4, 4)


def test_what_is_in_doubt_stays_so_until_all_of_its_fills_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The fills are listed later than the order's own count of them."""
    settings.BROKER_QUARANTINE_SECONDS = 100.0
    alice = scene(monkeypatch, desk)
    trade = ordered(desk)
    send_due()
    alice.venue.put(order_of(trade, "filled", 10, broker_order_id=f"b-{trade.client_order_id}"))
    AutoTrade.objects.filter(pk=trade.pk).update(status="unknown", ask_at=database_now())
    recover_due()
    assert state(trade) == "unknown" and trade.ask_at is not None and trade.asks == 1
    told = BrokerMessage.objects.filter(kind="ask").values_list("outcome", flat=True)
    assert list(told) == ["filled", "no_fills"]
    for _ in range(4):
        pass_time(31)
        recover_due()
    assert state(trade) == "quarantined" and reserved(trade)
    first, second = (
        execution_of(trade, units, number, broker_order_id=f"b-{trade.client_order_id}")
        for number, units in ((1, 4), (2, 6))
    )
    alice.venue.executions = [first]
    pass_time(61)
    recover_due()
    assert (state(trade), trade.filled_quantity) == ("unknown", 4), "there is news, so it is asked soon again"
    assert trade.status_reason == "the broker says that it is filled, and not all of its fills are told"
    kinds = Entry.objects.filter(stream_id=desk.portfolio.id, kind__startswith="trade.").order_by("-seq")
    assert list(kinds.values_list("kind", flat=True)[:2]) == ["trade.unknown", "trade.partially_filled"]
    alice.venue.executions = [first, second]
    pass_time(61)
    recover_due()
    assert (state(trade), trade.ask_at, desk.held("AAA")) == ("filled", None, 10)
    assert clean()


def test_what_cannot_even_be_read_when_its_cancel_is_refused_is_in_doubt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = scene(monkeypatch, desk)
    trade = ordered(desk)
    send_due()
    cancel_trade(trade_id=trade.id, actor=desk.owner)
    alice.venue.end(trade.client_order_id, order_of(trade, "cancelled").state)
    alice.venue.on_ask = [BadReport("its status is not known")]
    send_due()
    assert state(trade) == "unknown" and "its status is not known" in trade.status_reason
    pass_time(1)
    recover_due()
    assert state(trade) == "cancelled", "a moment later it can be read"
    assert clean()


def test_a_cancel_that_is_refused_waits_for_the_fills_for_a_while_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = scene(monkeypatch, desk)
    trade = ordered(desk)
    send_due()
    alice.venue.put(order_of(trade, "filled", 10, broker_order_id=f"b-{trade.client_order_id}"))
    cancel_trade(trade_id=trade.id, actor=desk.owner)
    for _ in range(5):
        send_due()
        assert state(trade) == "cancelling", "fills are listed a little later"
        pass_time(31)
    send_due()
    assert state(trade) == "unknown" and "not all of its fills are told" in trade.status_reason
    alice.venue.executions = [execution_of(trade, 10, broker_order_id=f"b-{trade.client_order_id}")]
    pass_time(31)
    recover_due()
    assert (state(trade), desk.held("AAA"), clean()) == ("filled", 10, True)


def test_a_limit_that_waits_for_a_crash_is_filled_in_it(at_simulator: AtSimulator) -> None:
    trade = place(at_simulator.desk, limit_at(9, gtc=True))
    send_due()
    at_simulator.simulator.fill(trade.client_order_id, price=9)
    assert at_simulator.reconcile().fills_booked == 1
    assert (state(trade), trade.executed_price, at_simulator.breaks()) == ("filled", 9, [])
    assert clean()
