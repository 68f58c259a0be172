"""The emergency stop of the command line speaks to brokers by itself, and sends nobody's orders."""

from decimal import Decimal

import pytest
from django.core.management import call_command

from tests.harness.at_broker import connect, ordered, report
from tests.harness.scripted_broker import LOSE_ORDER, Venue
from tests.harness.trading import Desk, Market
from tests.harness.working import limit_at, place
from tests.integration.trading.at_brokers import clean, install, pass_time, reserved, state
from trading.core.order_states import OrderState
from trading.management.commands import emergency_stop as command
from trading.models import AutoTrade
from trading.services.recovery import recover_due
from trading.services.sending import send_due

pytestmark = pytest.mark.integration


@pytest.fixture
def alice(desk: Desk) -> Desk:
    connect(desk, account_number="PA1")
    return desk


@pytest.fixture
def erin(market: Market) -> Desk:
    made = Desk.open(market, owner="erin")
    connect(made, account_number="PA2")
    return made


@pytest.fixture
def venues(alice: Desk, erin: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[Venue, Venue]:
    """Hers and Erin's; hers confirms a cancel at once."""
    hers, erins = Venue(), Venue()
    hers.hooks["cancelled"] = lambda: [hers.end(key, OrderState.CANCELLED) for key in hers.orders]
    install(monkeypatch, {alice.portfolio.broker_account.id: hers, erin.portfolio.broker_account.id: erins})
    monkeypatch.setattr(command, "PAUSE_SECONDS", 0.01)
    return hers, erins


def stop(desk: Desk, **more: str) -> None:
    """By hand, while no worker runs."""
    options = {"scope": "portfolio", "scope_id": str(desk.portfolio.id), "reason": "the books differ"} | more
    call_command("emergency_stop", **options)


def of_alice(alice: Desk) -> AutoTrade:
    trade = place(alice, limit_at(90, gtc=True))
    send_due()
    assert state(trade) == "accepted"
    return trade


def test_it_cancels_in_its_scope_and_leaves_what_waits_in_other_portfolios(
    alice: Desk, erin: Desk, venues: tuple[Venue, Venue], capsys: pytest.CaptureFixture[str]
) -> None:
    mine = of_alice(alice)
    theirs = place(erin, limit_at(91, gtc=True))
    pass_time(3 * 3600)
    stop(alice)
    assert "drained" in capsys.readouterr().out
    assert state(mine) == "cancelled" and venues[0].cancels == [mine.client_order_id]
    assert state(theirs) == "pending" and reserved(theirs) and venues[1].submits == []
    assert send_due() == 1, "a worker sends it"
    assert state(theirs) == "accepted" and clean()


def test_it_sends_no_sell_that_waits_where_only_buys_are_stopped(
    alice: Desk, venues: tuple[Venue, Venue]
) -> None:
    report(ordered(alice, quantity=7), "filled", 7, fill=7)
    buy = of_alice(alice)
    sell = place(alice, limit_at(120, gtc=True), side="sell", quantity=7)
    pass_time(3600)
    stop(alice, scope="platform", scope_id="", mode="reduce_only")
    assert (state(buy), state(sell)) == ("cancelled", "pending")
    assert venues[0].submits == [buy.client_order_id]


def test_it_asks_for_what_is_in_doubt_and_sends_nothing_again(
    alice: Desk, erin: Desk, venues: tuple[Venue, Venue]
) -> None:
    mine = of_alice(alice)
    venues[1].on_submit = [LOSE_ORDER]
    theirs = place(erin, limit_at(91, gtc=True))
    send_due()
    assert state(theirs) == "unknown"
    pass_time(3 * 3600)
    stop(alice)
    assert state(mine) == "cancelled"
    assert venues[1].asks and len(venues[1].submits) == 1
    assert state(theirs) == "unknown" and reserved(theirs)
    pass_time(61)
    assert recover_due() == 1, "a worker sends it again"
    assert state(theirs) == "accepted" and clean()


def test_what_is_in_doubt_in_its_scope_ends_once_the_broker_does_not_have_it(
    alice: Desk, venues: tuple[Venue, Venue]
) -> None:
    venues[0].on_submit = [LOSE_ORDER]
    trade = place(alice, limit_at(90, gtc=True), quantity=Decimal(4))
    send_due()
    pass_time(3 * 3600)
    stop(alice)
    assert state(trade) == "cancelled" and not reserved(trade)
    assert len(venues[0].submits) == 1 and clean()
