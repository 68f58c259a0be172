"""Before a dividend Alpaca lowers the limits of gtc buys; ours are cancelled before it can."""

from datetime import timedelta
from decimal import Decimal

import pytest

from market.models import CalendarDay, CorporateAction
from tests.harness.trading import Desk
from tests.harness.working import at_alpaca, limit_at, place, stop_at, works
from tests.integration.trading.at_brokers import state
from trading.core.orders import MARKET_DAY
from trading.services.split_orders import DIVIDEND, cancel_split_orders
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


def test_gtc_limit_buys_are_cancelled_from_the_last_close_before_the_ex_time_on(desk: Desk) -> None:
    market = desk.market
    place(desk, MARKET_DAY, quantity=20)
    execute_pending()
    on_paper = works(place(Desk.open(market, owner="erin"), limit_at(90, gtc=True)))
    at_alpaca(desk)
    resting = works(place(desk, limit_at(90, gtc=True)))
    left = [
        works(place(desk, limit_at(91), quantity=11)),  # it ends with its day
        works(place(desk, limit_at(120, gtc=True), side="sell")),
        works(place(desk, limit_at(90, gtc=True), symbol="BBB")),
        works(place(desk, stop_at(130), symbol="CCC")),
        on_paper,
    ]
    closes_at = market.as_of + timedelta(hours=1)
    for at in (closes_at - timedelta(hours=7), closes_at + timedelta(hours=17)):
        CalendarDay.objects.create(
            exchange=market.instruments[0].exchange,
            day=at.date(),
            opens_at=at,
            closes_at=at + timedelta(hours=7),
        )
    for number, name in ((0, "AAA"), (2, "CCC")):
        CorporateAction.objects.create(
            external_id=name, instrument=market.instruments[number], kind="dividend",
            ex_at=closes_at + timedelta(hours=17), amount=Decimal("0.25"),
        )  # fmt: skip
    market.tick(minutes=60)
    assert (cancel_split_orders(), state(resting)) == (0, "accepted"), "it closes just now"
    market.tick()
    assert cancel_split_orders() == 1
    assert (state(resting), resting.cancel_reason) == ("cancelling", DIVIDEND)
    assert [state(trade) for trade in left] == ["accepted"] * 5
    assert cancel_split_orders() == 0, "all is asked for"
