"""A session ends at the market time that its config names: stopped by the sweep, and no entry is made after it."""

from datetime import timedelta
from typing import Any

import pytest

from foundation.errors import InvalidInput
from sessions.services import calendar
from sessions.services.calendar import END_REACHED, stop_ended
from sessions.services.sessions import pause_trading_session, start_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration


def ending(market: Market, *, minutes: float, **config: Any) -> Desk:
    """A desk whose session ends so many minutes from now, in market time."""
    ends_at = (market.as_of + timedelta(minutes=minutes)).isoformat()
    return Desk.open(market, owner=f"owner-{minutes}", config={"ends_at": ends_at, **config})


def test_it_is_stopped_at_its_end_and_not_before(market: Market) -> None:
    market.tick()
    desk = ending(market, minutes=2)
    market.tick()
    assert stop_ended(now=market.as_of) == 0
    market.tick()  # the very moment
    assert stop_ended(now=market.as_of) == 1 and stop_ended(now=market.as_of) == 0
    assert (desk.refresh().session.status, desk.session.stop_reason) == ("stopping", END_REACHED)
    assert finish_stopping() == 1
    assert desk.refresh().session.status == "stopped"


def test_a_paused_one_ends_too_and_what_it_holds_is_sold_where_its_config_says_so(market: Market) -> None:
    market.tick()
    desk = ending(market, minutes=3, on_stop="flatten")
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") > 0
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    market.tick(minutes=5)
    assert stop_ended(now=market.as_of) == 1
    finish_stopping()
    execute_pending()
    assert finish_stopping() == 1 and desk.held("AAA") == 0


def test_without_the_sweep_no_entry_is_decided_after_the_end_and_exits_go_on(market: Market) -> None:
    market.tick()
    desk = ending(market, minutes=2)
    market.advise("AAA")
    desk.step()
    market.advise("BBB")
    desk.step(AAA=90.0)  # the end, and the stop loss of what is held
    assert [(trade.symbol, trade.trade_type) for trade in desk.trades()] == [("AAA", "buy"), ("AAA", "sell")]
    (refused,) = [decision for decision in desk.decisions() if decision.outcome == "refused"]
    assert (refused.code, "the session ended at 2010-03-01 14:33 UTC" in refused.detail) == (
        "TIME_RESTRICTED",
        True,
    )


def test_without_the_sweep_an_entry_that_was_decided_before_the_end_is_cancelled_after_it(
    market: Market,
) -> None:
    market.tick()
    desk = ending(market, minutes=2)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    market.tick()
    execute_pending()
    (trade,) = desk.trades()
    assert (trade.status, trade.status_reason) == ("cancelled", "its session's end time is reached")


def test_an_end_that_is_past_already_is_a_mistake(desk: Desk, market: Market) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    for end in (market.as_of, market.as_of - timedelta(days=1)):
        with pytest.raises(InvalidInput, match="present time") as caught:
            start_trading_session(
                portfolio_id=desk.portfolio.id, config={"ends_at": end.isoformat()}, actor=desk.owner
            )
        assert [row["path"] for row in caught.value.errors or []] == ["config.ends_at"]


def test_one_that_cannot_be_stopped_keeps_no_other_running(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    broken, other = ending(market, minutes=1), ending(market, minutes=2)
    market.tick(minutes=5)

    def stop(*, session_id: Any, **how: Any) -> Any:
        if session_id == broken.session.id:
            raise RuntimeError("the database is busy")
        return stop_trading_session(session_id=session_id, **how)

    monkeypatch.setattr(calendar, "stop_trading_session", stop)
    assert stop_ended(now=market.as_of) == 1
    assert (broken.refresh().session.status, other.refresh().session.status) == ("active", "stopping")
