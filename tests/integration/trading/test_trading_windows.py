"""A session's trading window: outside of it no entry is made, by rules or by hand, and what is held is sold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from foundation.errors import RecordedRefusal
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from trading.services.manual import place_trade
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration


def at(text: str) -> datetime:
    """`01 14:30` is the first of March 2010, a Monday, in UTC, which is the exchange's clock. It opens at midnight and
    closes a second before the next."""
    return datetime.strptime(f"2010-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def step(desk: Desk, text: str, **prices: float) -> None:
    """The market goes on to this moment, and workers do their work."""
    desk.market.as_of = at(text) - timedelta(minutes=1)
    desk.step(**prices)


def buy_by_hand(desk: Desk, symbol: str) -> None:
    place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side="buy", quantity=Decimal(1), actor=desk.owner
    )


@pytest.mark.parametrize(
    ("window", "outside", "inside"),
    [
        ({"weekdays": ["TUESDAY", "FRIDAY"]}, "01 15:00", "02 15:00"),
        ({"weekdays": ["TUESDAY", "FRIDAY"]}, "03 15:00", "05 00:01"),
        ({"minutes_after_open": 930}, "01 15:29", "01 15:30"),  # the very minute
        ({"minutes_before_close": 60}, "01 23:00", "02 22:59"),  # closes at 23:59:59
        ({"from": "15:30", "to": "16:00"}, "01 15:29", "01 15:30"),
        ({"blackout_dates": ["2010-03-01", "2010-03-03"]}, "01 23:59", "02 00:01"),
        ({"blackout_dates": ["2010-03-01", "2010-03-03"]}, "03 12:00", "04 12:00"),
        ({"weekdays": ["WEDNESDAY"], "blackout_dates": ["2010-03-03"]}, "03 12:00", "10 12:00"),
    ],
)
def test_outside_of_it_an_entry_is_refused_and_an_exit_sells(
    desk: Desk, market: Market, window: dict[str, Any], outside: str, inside: str
) -> None:
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1 and desk.held("AAA") > 0
    config = {"trading_window": window}
    desk.session = start_trading_session(portfolio_id=desk.portfolio.id, config=config, actor=desk.owner)

    market.advise("BBB")
    step(desk, outside, AAA=90.0)  # its stop loss
    assert (desk.held("AAA"), desk.held("BBB")) == (0, 0)
    (refused,) = [row for row in desk.decisions() if row.outcome == "refused"]
    assert (refused.instrument.symbol, refused.code) == ("BBB", "TIME_RESTRICTED")
    with pytest.raises(RecordedRefusal, match="TIME_RESTRICTED"):
        buy_by_hand(desk, "CCC")

    step(desk, inside)
    assert desk.held("BBB") > 0
    buy_by_hand(desk, "CCC")
