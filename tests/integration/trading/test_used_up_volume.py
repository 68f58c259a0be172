"""A market order that finds the day's volume used up has met the market: it works there, as at any broker, and is not
given up and made anew every minute."""

from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from journal.models import Alert
from tests.harness.paper import fresh, order, paper_market, wide_limits
from tests.harness.trading import Desk, Market
from tests.integration.trading.paper_steps import state, tick
from tests.integration.trading.protecting import buying, sells
from trading.models import AutoTrade
from trading.services.objections import PENDING_SECONDS_MAX
from trading.services.protection_watch import watch_protections
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture(autouse=True)
def limits(committed_db: object) -> None:
    wide_limits()


def let_wait(trade: AutoTrade) -> None:
    """Longer than a market order waits that finds no market."""
    long_ago = database_now() - timedelta(seconds=PENDING_SECONDS_MAX + 1)
    AutoTrade.objects.filter(pk=trade.pk).update(created_at=long_ago)


@pytest.fixture
def used_up(desk: Desk, market: Market) -> Desk:
    """Of a tenth of 400, all is bought."""
    paper_market(desk, volume_limit_percentage="10")
    market.volumes["AAA"] = 400
    market.bar_at = market.as_of
    assert order(desk, "buy", 40) and tick(market) == 1 and desk.held("AAA") == 40
    return desk


def test_it_works_until_the_next_days_volume(used_up: Desk, market: Market) -> None:
    sale = order(used_up, "sell", 10)
    assert tick(market) == 1 and state(sale) == ("accepted", 0)
    let_wait(sale)
    assert tick(market) == 0 and state(sale) == ("accepted", 0)
    market.bar_at = market.as_of + timedelta(seconds=30)
    assert tick(market) == 1 and state(sale) == ("filled", 10)


def test_it_ends_as_a_day_order_does(used_up: Desk, market: Market) -> None:
    close = market.as_of + timedelta(minutes=3)
    sale = order(used_up, "sell", 10, time_in_force="day", expires_at=close)
    assert [(tick(market), *state(sale)) for _ in range(3)] == [
        (1, "accepted", 0), (0, "accepted", 0), (1, "expired", 0),
    ]  # fmt: skip
    assert "whose time was over" in fresh(sale).status_reason


def test_one_that_finds_no_market_is_given_up_after_a_while(used_up: Desk, market: Market) -> None:
    market.volumes["BBB"] = float("nan")
    buy = order(used_up, "buy", 10, "BBB")
    assert tick(market) == 0 and state(buy) == ("pending", 0)
    let_wait(buy)
    assert tick(market) == 1 and state(buy) == ("expired", 0)


def test_a_stop_loss_of_such_a_day_sells_once_and_is_told_once(market: Market) -> None:
    market.volumes["AAA"] = 800
    market.tick()
    market.bar_at = market.as_of
    desk = Desk.open(market, rules=(buying(stop_loss_percentage=5),))
    paper_market(desk, volume_limit_percentage="2.5")
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 20
    market.advise("AAA", "HOLD", 0.5)
    for _ in range(3):
        market.tick(AAA=94)
        watch_protections()
        execute_pending()
        (sale,) = sells(desk)
        assert state(sale) == ("accepted", 0)
        let_wait(sale)
    assert Alert.objects.filter(stream=desk.portfolio.id, kind="protection.triggered").count() == 1
    market.bar_at = market.as_of + timedelta(seconds=30)
    market.tick()
    execute_pending()
    assert state(sale) == ("filled", 20) and desk.held("AAA") == 0
