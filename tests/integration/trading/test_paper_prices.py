"""At whose prices, and on how much volume, orders are filled on real snapshots: nothing that nobody offers."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portfolios.services.portfolios import withdraw
from tests.harness.paper import fresh, holding, order, paper_market, wide_limits
from tests.harness.trading import Desk, Market
from tests.integration.trading.paper_steps import state, tick
from trading.models import AutoTrade, Execution
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
D = Decimal
ORDERS = ((1, "CCC"), (1, "AAA"), (2, "AAA"), (1, "BBB"))


@pytest.fixture(autouse=True)
def limits(committed_db: object) -> None:
    wide_limits()


# Quotes of before the open


def test_what_is_not_quoted_since_the_open_is_not_traded(desk: Desk, market: Market) -> None:
    """On Monday's first snapshot another symbol is quoted; this one still shows Friday's bid and ask."""
    rests = order(desk, "buy", 10, order_type="limit", limit_price=D(101))
    sweeps = order(desk, "buy", 5)
    market.quoted_at["AAA"] = market.as_of - timedelta(days=3)
    assert tick(market) == 1
    assert (state(rests), state(sweeps)) == (("accepted", 0), ("pending", 0))
    assert tick(market) == 0
    del market.quoted_at["AAA"]
    assert tick(market, AAA=100.5) == 2
    assert {fresh(rests).executed_price, fresh(sweeps).executed_price} == {D("100.62")}, (
        "a basis point of slippage"
    )


def test_a_price_of_before_the_open_triggers_no_stop_and_leads_no_trailing_stop(
    desk: Desk, market: Market
) -> None:
    holding(desk, 20)
    stop = order(desk, "sell", 10, order_type="stop", stop_price=D(95))
    trail = order(desk, "sell", 10, order_type="trailing_stop", trail_percentage=D(10))
    assert tick(market) == 2
    market.quoted_at["AAA"] = market.as_of - timedelta(days=3)
    assert tick(market, AAA=90.0) == 0 and tick(market, AAA=120.0) == 0
    assert (fresh(stop).triggered_at, fresh(trail).best_price) == (None, 100)


# A day's volume


def test_a_days_volume_is_given_once_however_many_snapshots_and_orders(desk: Desk, market: Market) -> None:
    """A tenth of 400 until the next day's bar completes; buys and sells share it."""
    paper_market(desk, volume_limit_percentage="10")
    market.volumes["AAA"] = 400
    market.bar_at = market.as_of
    assert order(desk, "buy", 30) and tick(market) == 1 and desk.held("AAA") == 30
    sale = order(desk, "sell", 20)
    assert tick(market) == 1 and state(sale) == ("partially_filled", 10)
    for _ in range(3):
        assert tick(market) == 0 and state(sale) == ("partially_filled", 10)
    market.volumes["BBB"] = 400
    first, second = order(desk, "buy", 30, "BBB"), order(desk, "buy", 30, "BBB")
    assert tick(market) == 2, "each instrument has its own"
    assert (state(first), state(second)) == (("filled", 30), ("partially_filled", 10))
    market.bar_at = market.as_of + timedelta(seconds=30)
    assert tick(market) == 2
    assert (state(sale), state(second)) == (("filled", 20), ("filled", 30))


def test_each_portfolio_has_a_days_volume_for_itself(desk: Desk, market: Market) -> None:
    other = Desk.open(market, owner="bob")
    market.volumes["AAA"] = 400
    market.bar_at = market.as_of
    for each in (desk, other):
        paper_market(each, volume_limit_percentage="10")
        order(each, "buy", 50)
    assert tick(market) == 2
    assert (desk.held("AAA"), other.held("AAA")) == (40, 40)


def test_what_has_no_limit_asks_for_no_volume(desk: Desk, market: Market) -> None:
    order(desk)
    market.tick()
    with CaptureQueriesContext(connection) as captured:
        assert execute_pending() == 1
    assert not any("sum(t.amount)" in query["sql"] for query in captured)


# Fees


def test_no_fee_makes_cash_negative(desk: Desk, market: Market) -> None:
    """Ten parts of a penny stock, which bring less than the fee's minimum: it is paid from what they bring."""
    market.tick(AAA=0.04)
    holding(desk, 1000)
    desk.refresh()
    withdraw(
        portfolio_id=desk.portfolio.id,
        amount=desk.portfolio.cash.quantize(D("0.01"), "ROUND_DOWN"),
        actor=None,
    )
    paper_market(desk, volume_limit_percentage="10", fee_minimum="5", fee_bps="0", slippage_bps="0")
    market.volumes["AAA"] = 1000
    sale = order(desk, "sell", 1000)
    cash = []
    for _ in range(10):
        assert tick(market) == 1
        cash.append(desk.refresh().portfolio.cash)
    assert state(sale) == ("filled", 1000)
    assert all(0 <= each < 40 for each in cash) and cash[0] == 0, "all of the first part went for the fee"
    assert fresh(sale).fees == 5 and cash[-1] > 30, "and the rest of it with the second"


# In which order


def test_what_was_made_together_is_filled_in_the_order_in_which_it_was_made(market: Market) -> None:
    """Ids by chance would fill another run of the same market in another order."""
    desks = [Desk.open(market, owner=f"owner-{n}") for n in range(5)]
    market.tick()
    made = [[order(desk, "buy", units, symbol).id for units, symbol in ORDERS] for desk in desks]
    AutoTrade.objects.update(created_at=AutoTrade.objects.earliest("created_at").created_at)
    assert execute_pending() == 20
    for desk, mine in zip(desks, made, strict=True):
        fills = Execution.objects.filter(trade__portfolio=desk.portfolio).order_by("id")
        assert list(fills.values_list("trade_id", flat=True)) == mine
