"""An order of which nobody can say what became of it is ended by a person who has looked, and by nobody else."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.clock import database_now
from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from journal.models import Alert, Entry
from portfolios.models import Portfolio, Reservation
from sessions.models import TradingSession
from tests.harness.at_broker import connect, ordered, report
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.models import AutoTrade
from trading.services.connecting import disconnect_account
from trading.services.settling import settle_by_hand
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
FOUND = "Not in its list of orders; the account was reset"


@pytest.fixture
def alice(desk: Desk) -> Desk:
    connect(desk)
    return desk


def quarantined(desk: Desk, **columns: Any) -> AutoTrade:
    trade = ordered(desk)
    AutoTrade.objects.filter(pk=trade.pk).update(status="quarantined", attempt=1, fence=1, **columns)
    trade.refresh_from_db()
    return trade


def test_a_risk_officer_ends_it_and_everything_is_free_again(alice: Desk) -> None:
    trade, bob = quarantined(alice, broker_order_id="b-1"), risk_officer(alice)
    settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=bob)
    trade.refresh_from_db()
    assert (trade.status, trade.ask_at, trade.status_reason) == ("expired", None, f"bob: {FOUND}")
    assert not Reservation.objects.exists()
    told = Entry.objects.get(stream_id=alice.portfolio.pk, kind="trade.expired")
    payload = json.loads(told.payload)
    assert (payload["actor"], payload["explanation"]) == ("bob", FOUND)
    assert Alert.objects.filter(kind="trade.expired", severity="warning").count() == 1
    assert book_differences() == []
    TradingSession.objects.update(status="stopped", end_time=database_now())
    assert disconnect_account(portfolio_id=alice.portfolio.pk, actor=alice.owner).broker == "paper"


def test_what_turns_up_after_that_is_booked_and_cancelled(alice: Desk) -> None:
    trade = quarantined(alice)
    settle_by_hand(trade_id=trade.pk, state="cancelled", explanation=FOUND, actor=risk_officer(alice))
    assert report(trade, "partially_filled", 4, fill=4).status == "cancelling"
    assert (alice.held("AAA"), book_differences()) == (4, [])


def test_what_the_broker_had_before_and_shows_again_is_cancelled(alice: Desk) -> None:
    trade = quarantined(alice, broker_order_id="b-1")
    settle_by_hand(trade_id=trade.pk, state="cancelled", explanation=FOUND, actor=risk_officer(alice))
    assert report(trade, "accepted", 0).status == "cancelling"
    assert book_differences() == []


def test_staff_may_and_the_owner_may_not(alice: Desk) -> None:
    trade = quarantined(alice)
    with pytest.raises(Forbidden):
        settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=alice.owner)
    steffi = get_user_model().objects.create(username="steffi", is_staff=True)
    settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=steffi)
    with pytest.raises(Conflict, match="only a quarantined one"):
        settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=steffi)


@pytest.mark.parametrize(
    ("state", "explanation", "field"),
    [("filled", FOUND, "state"), ("pending", FOUND, "state"), ("expired", "  ", "explanation")],
)
def test_it_is_said_how_it_ended_and_why(alice: Desk, state: str, explanation: str, field: str) -> None:
    trade = quarantined(alice)
    with pytest.raises(InvalidInput, match=field):
        settle_by_hand(trade_id=trade.pk, state=state, explanation=explanation, actor=risk_officer(alice))
    trade.refresh_from_db()
    assert trade.status == "quarantined"


def test_what_was_filled_was_not_rejected(alice: Desk) -> None:
    trade, bob = ordered(alice), risk_officer(alice)
    report(trade, "partially_filled", 4, fill=4)
    AutoTrade.objects.filter(pk=trade.pk).update(status="quarantined")
    with pytest.raises(Conflict, match="was filled"):
        settle_by_hand(trade_id=trade.pk, state="rejected", explanation=FOUND, actor=bob)
    settle_by_hand(trade_id=trade.pk, state="cancelled", explanation=FOUND, actor=bob)
    trade.refresh_from_db()
    assert (trade.status, trade.filled_quantity, alice.held("AAA")) == ("cancelled", 4, 4)
    assert book_differences() == []


def test_where_four_eyes_are_asked_for_nobody_ends_what_he_has_ordered(alice: Desk) -> None:
    Portfolio.objects.filter(pk=alice.portfolio.pk).update(four_eyes=True)
    trade, bob = quarantined(alice), risk_officer(alice)
    AutoTrade.objects.filter(pk=trade.pk).update(actor="user:bob")
    with pytest.raises(Conflict) as refused:
        settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=bob)
    assert refused.value.code == "four_eyes"
    other = risk_officer(alice, "rita")
    settle_by_hand(trade_id=trade.pk, state="expired", explanation=FOUND, actor=other)


def test_there_must_be_such_a_trade(alice: Desk) -> None:
    with pytest.raises(NotFound):
        settle_by_hand(
            trade_id=alice.portfolio.pk, state="expired", explanation=FOUND, actor=risk_officer(alice)
        )
