"""Nothing is sent to a real broker after the close by the clock, and nothing stays there: it would be executed at the
next open, at a price that nobody has approved."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from foundation.clock import database_now
from tests.harness.trading import OPENING, Desk, Market
from tests.harness.working import at_alpaca, limit_at, place, works
from tests.integration.trading.at_brokers import Scene, clean, reserved, scene, state
from trading import tasks
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade
from trading.services import sending
from trading.services.outlived import OUTLIVED, cancel_outlived_orders
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
CLOSE = OPENING.replace(hour=23, minute=59, second=59)
SECOND = timedelta(seconds=1)
MARKET_GTC = OrderTerms(OrderType.MARKET, TimeInForce.GTC)


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, market: Market) -> Scene:
    """The last quote of the day was a second before the close."""
    market.as_of = CLOSE - 61 * SECOND
    market.tick()
    return scene(monkeypatch, Desk.open(market))


def sent_at(at: datetime, trade: AutoTrade, monkeypatch: pytest.MonkeyPatch) -> str:
    """Decided in a live market, and sent when the clock says so."""
    AutoTrade.objects.filter(pk=trade.pk).update(created_at=F("market_at"))
    monkeypatch.setattr(sending, "database_now", lambda: at)
    send_due()
    return state(trade)


@pytest.mark.parametrize(
    ("terms", "after_the_close"),
    [
        (MARKET_DAY, "expired"),
        (limit_at(90), "expired"),
        (MARKET_GTC, "pending"),  # until it is too old
        (limit_at(90, gtc=True), "accepted"),  # it may wait there
    ],
)
@pytest.mark.parametrize(("seconds", "in_time"), [(-3, True), (-1, False), (5, False), (50, False)])
def test_the_close_is_that_of_the_clock_although_no_quote_has_said_so(
    alice: Scene,
    monkeypatch: pytest.MonkeyPatch,
    terms: OrderTerms,
    after_the_close: str,
    seconds: int,
    in_time: bool,
) -> None:
    trade = place(alice.desk, terms)
    became = sent_at(CLOSE + seconds * SECOND, trade, monkeypatch)
    assert became == ("accepted" if in_time else after_the_close)
    assert alice.venue.submits == ([trade.client_order_id] if became == "accepted" else [])
    if became == "expired":
        assert (
            trade.status_reason == "the day that it was meant for is over" and not reserved(trade) and clean()
        )


def test_a_gtc_market_order_expires_instead_of_waiting_for_the_next_open(
    alice: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = place(alice.desk, MARKET_GTC)
    assert sent_at(CLOSE + 61 * SECOND, trade, monkeypatch) == "expired"
    assert (trade.status_reason, alice.venue.submits) == ("the market is closed", [])


def test_the_clock_of_a_replay_is_another(alice: Scene) -> None:
    """Decided now at the prices of 2010: its close is none of the clock's."""
    trade = place(alice.desk, MARKET_DAY)
    send_due()
    assert state(trade) == "accepted"


def test_what_has_outlived_its_day_at_a_broker_is_cancelled(desk: Desk, market: Market) -> None:
    at_alpaca(desk)
    on_paper = Desk.open(market, owner="erin")
    over, not_long, gtc, replayed, elsewhere = (
        works(place(each, terms, quantity=quantity))
        for each, terms, quantity in (
            (desk, limit_at(90), 1),
            (desk, limit_at(90), 2),
            (desk, limit_at(90, gtc=True), 3),
            (desk, limit_at(90), 4),
            (on_paper, limit_at(90), 5),
        )
    )
    live = AutoTrade.objects.exclude(pk=replayed.pk)
    live.update(market_at=F("created_at"))
    AutoTrade.objects.exclude(pk=gtc.pk).update(expires_at=database_now() - timedelta(minutes=16))
    AutoTrade.objects.filter(pk=not_long.pk).update(expires_at=database_now() - timedelta(minutes=14))
    tasks.cancel_outlived_orders()
    assert (state(over), over.cancel_reason) == ("cancelling", OUTLIVED)
    assert [state(trade) for trade in (not_long, gtc, replayed, elsewhere)] == ["accepted"] * 4
    assert cancel_outlived_orders() == 0, "all is asked for"


@pytest.mark.parametrize(("feed", "became"), [("alpaca", "expired"), ("replay", "accepted")])
def test_of_a_real_feed_the_close_is_the_clocks_however_late_it_tells(
    alice: Scene, monkeypatch: pytest.MonkeyPatch, settings: Any, feed: str, became: str
) -> None:
    """It may be delayed, or have told nothing for long; a replay of today's morning has a clock of its own."""
    settings.MARKET_FEED = feed
    trade = place(alice.desk, MARKET_DAY)
    decided = F("market_at") + timedelta(minutes=16)
    AutoTrade.objects.filter(pk=trade.pk).update(created_at=decided)
    monkeypatch.setattr(sending, "database_now", lambda: CLOSE + timedelta(minutes=15))
    send_due()
    assert state(trade) == became
