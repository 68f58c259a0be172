"""What people have explained stays so beside all that is tolerated otherwise, and a break that is back at it ends."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from journal.models import Alert
from tests.harness.trading import Desk
from tests.integration.trading.at_brokers import clean
from tests.integration.trading.at_venue import AtVenue
from trading.models import AutoTrade, Execution

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def alice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AtVenue:
    return AtVenue(desk, monkeypatch)


def explained(alice: AtVenue, *, cash: int = 0, **units: int) -> None:
    """The broker has so much more, and Bob has explained it and let go."""
    alice.venue.cash += cash
    alice.venue.held |= {symbol: D(count) for symbol, count in units.items()}
    assert len(alice.breaks()) == bool(cash) + len(units)
    alice.explain()
    alice.release()
    assert (alice.breaks(), alice.halted()) == ([], False)


def filled_with_holdings_behind(alice: AtVenue, trade: AutoTrade) -> None:
    """The stream has told of all of it; cash and positions there are those before it."""
    held, cash = dict(alice.venue.held), alice.venue.cash
    alice.told(alice.venue.fills(alice.order(trade), trade.quantity))
    alice.venue.held, alice.venue.cash = held, cash


def test_holdings_that_are_behind_a_fill_are_no_break_beside_it(alice: AtVenue, settings: Any) -> None:
    explained(alice, cash=500, AAA=5, BBB=5)
    trade = alice.sent(quantity=10)
    before = dict(alice.venue.held), alice.venue.cash
    filled_with_holdings_behind(alice, trade)
    assert (alice.breaks(), alice.halted()) == ([], False)
    alice.venue.held, alice.venue.cash = before[0] | {"AAA": D(15)}, before[1] - 1000 - D("0.25")
    assert (alice.breaks(), alice.halted(), clean()) == ([], False, True)
    alice.venue.held, alice.venue.cash = before
    assert alice.breaks() == []
    Execution.objects.update(created_at=F("created_at") - timedelta(seconds=settings.BROKER_SETTLE_SECONDS))
    assert alice.breaks() == [("cash", "USD"), ("position", "AAA")], "it should be shown by now"


def test_it_hides_no_other_number(alice: AtVenue) -> None:
    explained(alice, cash=500, AAA=5)
    filled_with_holdings_behind(alice, alice.sent(quantity=10))
    alice.venue.held["AAA"] += 1
    assert alice.breaks() == [("position", "AAA")]


def test_what_is_known_and_cannot_be_booked_is_no_difference_beside_it(alice: AtVenue) -> None:
    explained(alice, cash=500, AAA=5)
    trade = alice.sent(quantity=10)
    alice.venue.fills(alice.order(trade), 4, tell=False)
    alice.venue.put(replace(alice.order(trade), filled_quantity=D(3)))
    (fill,) = alice.venue.executions
    assert alice.breaks() == [("execution", fill.execution_id)]
    alice.venue.put(replace(alice.order(trade), filled_quantity=D(4)))
    assert (alice.breaks(), clean()) == ([], True)
    assert Execution.objects.count() == 1


def test_a_difference_that_is_back_at_what_was_explained_ends(alice: AtVenue) -> None:
    explained(alice, cash=500, AAA=5)
    alice.venue.cash += 1
    alice.venue.held["AAA"] += 1
    for _ in range(2):
        assert alice.breaks() == [("cash", "USD"), ("position", "AAA")]
    alice.venue.cash -= 1
    alice.venue.held["AAA"] -= 1
    assert (alice.breaks(), alice.halted()) == ([], True), "until Bob lets go"
    told = Alert.objects.filter(kind="reconciliation.break_ended").values_list("message", flat=True)
    assert len(told) == 2 and all("Back at what was explained" in message for message in told)
    alice.release()
    assert (alice.breaks(), alice.halted()) == ([], False)


def test_what_was_gone_after_another_difference_is_news_when_it_comes_back(alice: AtVenue) -> None:
    explained(alice, cash=500)
    alice.venue.cash += 1
    assert alice.breaks() == [("cash", "USD")]
    alice.venue.cash -= 501
    assert alice.breaks() == []
    alice.venue.cash += 500
    assert alice.breaks() == [("cash", "USD")]
