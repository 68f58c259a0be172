"""What a day's profit and the drawdown are measured against when money moves, and when a day begins."""

from datetime import timedelta
from decimal import Decimal

import pytest

from portfolios.models import EquityPoint, PortfolioMark
from portfolios.services.equity import equity_at_last_prices
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import deposit, withdraw
from tests.harness.paper import holding, wide_limits
from tests.harness.trading import Desk, Market
from trading.core.market_facts import STALE_SECONDS
from trading.models import Halt

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture(autouse=True)
def limits(committed_db: object) -> None:
    wide_limits()


def losses(desk: Desk) -> tuple[float, float]:
    """Of the day and from the peak, in percent."""
    point = equity_at_last_prices(desk.portfolio.id)
    mark = PortfolioMark.objects.get(portfolio=desk.portfolio)
    assert point is not None
    return tuple(float(100 - 100 * point.equity / was) for was in (mark.day_open_equity, mark.peak_equity))  # type: ignore[return-value]


def look(desk: Desk, *, minutes: float = 1, **prices: float) -> None:
    desk.market.tick(minutes=minutes, **prices)
    desk.evaluate()


# Money that moves


@pytest.mark.parametrize("way", [deposit, withdraw])
def test_money_that_moves_changes_no_loss_in_percent(desk: Desk, market: Market, way: object) -> None:
    """Added to the marks, 40,000 less would make -5 % of the day -8.5 %, and 40,000 more -3.6 %."""
    look(desk)
    holding(desk, 500)
    look(desk, AAA=90.0)
    before = losses(desk)
    assert before == pytest.approx((5.06, 5.06), abs=0.01)
    way(portfolio_id=desk.portfolio.id, amount=D(40_000), actor=desk.owner)  # type: ignore[operator]
    assert losses(desk) == pytest.approx(before, abs=1e-9)
    look(desk)
    assert losses(desk) == pytest.approx(before, abs=1e-9), "and it stays so"


def test_a_days_loss_is_known_though_almost_all_goes_out(desk: Desk, market: Market) -> None:
    """Subtracted from the marks, the day would begin with nothing, and of nothing no percentage is known."""
    look(desk)
    market.tick(minutes=1)
    deposit(portfolio_id=desk.portfolio.id, amount=D(60_000), actor=desk.owner)
    PortfolioMark.objects.filter(portfolio=desk.portfolio).update(day_open_equity=40_000)
    withdraw(portfolio_id=desk.portfolio.id, amount=D(159_000), actor=desk.owner)
    assert PortfolioMark.objects.get(portfolio=desk.portfolio).day_open_equity == 250


def test_money_for_an_empty_portfolio_is_where_it_begins(desk: Desk, market: Market) -> None:
    look(desk)
    withdraw(portfolio_id=desk.portfolio.id, amount=D(100_000), actor=desk.owner)
    deposit(portfolio_id=desk.portfolio.id, amount=D(7_000), actor=desk.owner)
    mark = PortfolioMark.objects.get(portfolio=desk.portfolio)
    assert (mark.day_open_equity, mark.peak_equity) == (7_000, 7_000)


def test_marks_end_where_their_columns_do(desk: Desk, market: Market) -> None:
    """A fortune for a portfolio that had lost all but a cent: its loss is still that much, or nearly."""
    look(desk)
    withdraw(portfolio_id=desk.portfolio.id, amount=D("99999.99"), actor=desk.owner)
    PortfolioMark.objects.filter(portfolio=desk.portfolio).update(peak_equity=100_000)
    deposit(portfolio_id=desk.portfolio.id, amount=D(900_000_000), actor=desk.owner)
    assert PortfolioMark.objects.get(portfolio=desk.portfolio).peak_equity == D("999999999999.99999999")


# The beginning of a day


def test_a_gap_over_night_is_a_loss_of_the_day_that_opens_with_it(desk: Desk, market: Market) -> None:
    look(desk)
    holding(desk, 900)
    look(desk, minutes=15)
    worth = EquityPoint.objects.filter(portfolio=desk.portfolio).latest("at").equity
    look(desk, minutes=24 * 60, AAA=94.0)
    mark = PortfolioMark.objects.get(portfolio=desk.portfolio)
    assert (mark.day, mark.day_open_equity) == (market.as_of.date(), worth)
    look(desk)
    assert losses(desk)[0] == pytest.approx(5.41, abs=0.01)
    assert not Halt.objects.exists(), "less than the limit"


@pytest.fixture
def limited(desk: Desk) -> Desk:
    values = {"max_daily_loss_percentage": D(10)}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=values, actor=desk.owner)
    return desk


def test_the_breaker_sees_the_gap_with_the_second_snapshot(limited: Desk, market: Market) -> None:
    desk = limited
    look(desk)
    holding(desk, 900)
    look(desk, minutes=15)
    look(desk, minutes=24 * 60, AAA=85.0)
    look(desk)
    assert Halt.objects.get().armed_by_breaker == "daily_loss"


def test_a_day_begins_before_the_open_though_nothing_is_quoted_yet(limited: Desk, market: Market) -> None:
    """So its first quotes are compared with the day before."""
    desk = limited
    look(desk)
    holding(desk, 900)
    look(desk, minutes=15)
    worth = EquityPoint.objects.filter(portfolio=desk.portfolio).latest("at").equity
    market.price_age_seconds, market.is_open = STALE_SECONDS + 1, False
    look(desk, minutes=22 * 60)
    mark = PortfolioMark.objects.get(portfolio=desk.portfolio)
    assert (mark.day, mark.day_open_equity) == (market.as_of.date(), worth)
    market.price_age_seconds, market.is_open = 0, True
    look(desk, AAA=85.0)
    assert Halt.objects.get().armed_by_breaker == "daily_loss", "on the first one"


def test_money_that_moved_over_night_is_no_gain_of_the_day(desk: Desk, market: Market) -> None:
    look(desk, minutes=15)
    deposit(portfolio_id=desk.portfolio.id, amount=D(50_000), actor=desk.owner)
    EquityPoint.objects.filter(paid_in=150_000).delete()  # as if it had been paid in without a price
    look(desk, minutes=24 * 60)
    assert PortfolioMark.objects.get(portfolio=desk.portfolio).day_open_equity == 150_000


def test_a_portfolio_that_was_away_for_long_begins_with_what_it_is_worth(desk: Desk, market: Market) -> None:
    look(desk)
    holding(desk, 900)
    look(desk, minutes=15)
    market.as_of += timedelta(days=9)
    look(desk, AAA=50.0)
    now = equity_at_last_prices(desk.portfolio.id)
    assert now is not None
    assert PortfolioMark.objects.get(portfolio=desk.portfolio).day_open_equity == now.equity
