"""A session that is to sell what it holds, and cannot, ends as soon as somebody says that it keeps it."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from foundation.errors import Conflict
from journal.models import Alert, Entry
from sessions.services.calendar import stop_ended
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from trading.models import AutoTrade
from trading.services.manual import place_trade, preview_trade
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
NEVER_QUOTED_AGAIN = float("nan")


@pytest.fixture
def holder(market: Market) -> Desk:
    """Alice holds AAA, her session is to sell it when it stops, and it is not quoted any more."""
    market.tick()
    desk = Desk.open(market, config={"on_stop": "flatten"})
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") > 0
    market.tick(AAA=NEVER_QUOTED_AGAIN)
    return desk


def stop(desk: Desk, **how: Any) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner, **how)


def on_stop_told(desk: Desk) -> list[str]:
    told = Entry.objects.filter(stream_id=desk.portfolio.id, kind="session.stopping").order_by("seq")
    return [json.loads(entry.payload)["on_stop"] for entry in told]


def test_what_can_never_be_sold_keeps_no_session_from_ending(holder: Desk) -> None:
    stop(holder, reason="enough")
    assert finish_stopping() == 0
    assert (
        "stop it once more and keep what is held" in Alert.objects.get(kind="session.flatten_refused").message
    )
    with pytest.raises(Conflict) as caught:
        stop(holder)
    assert caught.value.code == "session_state"
    stop(holder, keep=True)
    assert finish_stopping() == 1
    held = holder.held("AAA")
    session = holder.refresh().session
    assert (session.status, session.stop_reason, held > 0) == ("stopped", "enough", True)
    assert on_stop_told(holder) == ["flatten", "keep"]
    again = start_trading_session(portfolio_id=holder.portfolio.id, config={}, actor=holder.owner)
    assert (again.status, again.keeps_at_stop) == ("active", False)


def test_a_stop_may_keep_from_the_beginning(holder: Desk, market: Market) -> None:
    market.tick(AAA=100.0)
    stop(holder, keep=True)
    assert finish_stopping() == 1
    assert holder.held("AAA") > 0 and len(holder.trades()) == 1
    assert on_stop_told(holder) == ["keep"]


def test_nothing_is_given_up_twice_or_where_nothing_is_sold(holder: Desk, market: Market) -> None:
    other = Desk.open(market, owner="bob")
    stop(holder, keep=True)
    stop(other)
    for desk in (holder, other):
        with pytest.raises(Conflict, match="this needs it to be active or paused"):
            stop(desk, keep=True)


def test_what_was_ordered_to_flatten_is_cancelled(holder: Desk, market: Market) -> None:
    market.tick(AAA=100.0)
    stop(holder)
    finish_stopping()
    sale = AutoTrade.objects.get(origin="flatten")
    assert sale.status == "pending"
    stop(holder, keep=True)
    assert finish_stopping() == 1
    sale.refresh_from_db()
    assert (sale.status, sale.status_reason) == ("cancelled", "its session stops")
    execute_pending()
    held = holder.portfolio.positions.get(instrument__symbol="AAA")
    assert held.quantity > 0 and held.reserved_quantity == 0


def test_the_end_of_a_session_that_stops_is_none_for_orders_by_hand(market: Market) -> None:
    market.tick()
    ends_at = (market.as_of + timedelta(minutes=3)).isoformat()
    desk = Desk.open(market, config={"on_stop": "flatten", "ends_at": ends_at})
    market.advise("AAA")
    desk.step()
    market.tick(minutes=3)
    order: dict[str, Any] = {
        "portfolio_id": desk.portfolio.id,
        "side": "buy",
        "quantity": Decimal(1),
        "actor": desk.owner,
    }
    assert preview_trade(symbol="BBB", **order).code == "TIME_RESTRICTED"
    market.tick(AAA=NEVER_QUOTED_AGAIN)
    assert stop_ended(now=market.as_of) == 1
    finish_stopping()
    stop(desk, keep=True)
    market.tick(AAA=100.0)
    assert place_trade(symbol="BBB", **order).status == "pending"
