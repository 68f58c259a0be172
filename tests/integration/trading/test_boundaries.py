"""What a session has realised and what it has not yet are its growth, also where something held had no fresh price."""

from datetime import timedelta
from typing import Any

import pytest

from portfolios.models import EquityPoint
from sessions.services.sessions import stop_trading_session
from tests.harness.trading import Desk, Market
from trading.core.market_facts import STALE_SECONDS
from trading.services.performance import get_session_performance
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration
NEVER_QUOTED = float("nan")
TAKE_PROFIT: dict[str, Any] = {
    "rule_type": "exit",
    "conditions": [{"field": "position_pnl_percentage", "operator": "greater_than", "value": 5}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}


@pytest.fixture
def gains(desk: Desk) -> Desk:
    """Alice holds AAA and BBB; AAA has gained a fifth, which a point of her curve has seen."""
    for symbol in ("AAA", "BBB"):
        desk.market.advise(symbol)
    desk.step()
    desk.market.advice.clear()
    desk.market.tick(minutes=15, AAA=120.0)
    desk.evaluate()
    return desk


def sell_aaa(desk: Desk) -> None:
    desk.add_rule(**TAKE_PROFIT)
    desk.step()
    assert (desk.held("AAA"), desk.held("BBB") > 0) == (0, True)


def stop(desk: Desk) -> dict[str, Any]:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1
    return get_session_performance(desk.session.id)


def test_what_was_sold_just_before_the_end_is_told_once(gains: Desk, market: Market) -> None:
    sell_aaa(gains)
    market.price_age_seconds = STALE_SECONDS + 1
    market.tick()
    told = stop(gains)
    position = gains.refresh().portfolio.positions.get(instrument__symbol="BBB")
    assert told["realised_pnl"] > 500
    assert told["unrealised_pnl"] == position.quantity * 100 - position.cost
    grown = gains.portfolio.cash + position.quantity * 100 - 100_000
    assert told["realised_pnl"] + told["unrealised_pnl"] == grown
    assert told["measured_to"] == market.as_of


def test_without_a_point_at_the_end_it_is_not_known_what_was_not_realised(
    gains: Desk, market: Market
) -> None:
    sell_aaa(gains)
    market.tick(BBB=NEVER_QUOTED)
    told = stop(gains)
    assert told["measured_to"] < market.as_of
    assert told["realised_pnl"] > 500 and told["unrealised_pnl"] is None


def test_nor_without_one_at_the_beginning(market: Market) -> None:
    """It began before the first snapshot, and had bought and sold before a point was made."""
    desk = Desk.open(market)
    market.tick()
    market.advise("AAA")
    desk.step()
    EquityPoint.objects.filter(portfolio=desk.portfolio).delete()
    first = get_session_performance(desk.session.id)
    assert first["measured_from"] == market.as_of and first["unrealised_pnl"] is None
    market.tick(minutes=15, AAA=101.0)
    desk.evaluate()
    told = stop(desk)
    assert told["measured_from"] == market.as_of and told["unrealised_pnl"] is None


def test_where_nothing_was_filled_since_the_last_point_it_is_known_without_one_at_the_end(
    gains: Desk, market: Market
) -> None:
    known = get_session_performance(gains.session.id)
    assert known["unrealised_pnl"] > 0
    market.tick(minutes=1, BBB=NEVER_QUOTED)
    told = stop(gains)
    assert told["unrealised_pnl"] == known["unrealised_pnl"]
    assert timedelta() <= market.as_of - told["measured_to"] < timedelta(minutes=15)
