"""Before the open of a split's ex day quotes are in new units already, and nothing is booked before the open."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from foundation.clock import database_now
from foundation.moments import Moment, present_moment
from market.models import CalendarDay, Quote
from market.services.corporate_actions import NewCorporateAction, record
from market.splits import splits_at_hand
from portfolios.models import CorporateActionSettlement, EquityPoint, PortfolioMark, PositionMark
from portfolios.past import unsettled_splits_at
from portfolios.selectors import unsettled_splits
from portfolios.services.corporate_actions import book_due_actions
from portfolios.services.portfolios import deposit
from tests.harness.trading import Desk, Market
from trading.models import Halt
from trading.services import equity_points
from trading.services.protection_watch import watch_protections
from trading.services.protections import set_protection
from trading.services.trade_execution import execute_pending
from trading.services.watching import watch_breakers

pytestmark = pytest.mark.integration
CLOSE = datetime(2010, 3, 5, 21, tzinfo=UTC)  # a Friday
OPEN = datetime(2010, 3, 8, 14, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equity_points, "_tried", equity_points.Tried())


@pytest.fixture
def holder(desk: Desk, market: Market) -> Desk:
    """50 of AAA at 100, with a stop loss at 5 % and a trailing stop at 10 %; it is Friday afternoon."""
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    set_protection(
        portfolio_id=desk.portfolio.id, symbol="AAA", trailing_stop_percentage=Decimal(10), actor=desk.owner
    )
    sessions(market, CLOSE - timedelta(hours=6.5), OPEN, hours=6.5)
    at(market, CLOSE - timedelta(minutes=1))
    everything(desk)
    return desk


def sessions(market: Market, *opens_at: datetime, hours: float) -> None:
    CalendarDay.objects.bulk_create(
        CalendarDay(
            exchange=market.instruments[0].exchange, day=at.date(), opens_at=at, closes_at=at + timedelta(hours=hours)
        )
        for at in opens_at
    )  # fmt: skip


def split(new_units: int, old_units: int, *, ex_at: datetime = OPEN) -> None:
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=ex_at, new_units=new_units, old_units=old_units,
        cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    record(item, actor=None)


def at(market: Market, moment: datetime, **prices: float) -> None:
    market.tick(minutes=(moment - market.as_of).total_seconds() / 60, **prices)


def everything(desk: Desk) -> None:
    desk.evaluate()
    watch_protections()
    watch_breakers()
    execute_pending()


def quoted_last(market: Market) -> Quote:
    """The last quote of AAA is of now, until it is quoted again."""
    market.quoted_at["AAA"] = market.as_of
    return Quote.objects.create(
        instrument=market.instruments[0], bid=100, ask=100, last=100, volume=1, market_time=market.as_of,
        received_at=database_now(),
    )  # fmt: skip


def waiting(desk: Desk) -> bool:
    """Whether its price is unknown: as it is asked now, and as it is rebuilt later."""
    market, portfolio_id = desk.market, desk.portfolio.id
    key, quoted_at = market.instruments[0].id, market.quoted_at.get("AAA", market.as_of)
    then = unsettled_splits_at(
        portfolio_id, Moment(*present_moment()), quoted={key: quoted_at.timestamp()}, as_of=market.as_of
    )
    assert then == unsettled_splits()
    return then == {(portfolio_id, key)}


def marks(desk: Desk) -> tuple[Any, Any]:
    return (
        PortfolioMark.objects.get(portfolio=desk.portfolio).peak_equity,
        PositionMark.objects.get().peak_price,
    )


@pytest.mark.parametrize(
    ("new_units", "old_units", "price", "left"),
    [
        (1, 10, 1000.0, 5),  # ten times the price: a peak of it would sell at the open
        (2, 1, 50.0, 100),  # half of it: stops would sell, and breakers stop the portfolio
    ],
)
def test_what_is_quoted_before_the_open_is_noted_by_nobody(
    holder: Desk, market: Market, new_units: int, old_units: int, price: float, left: int
) -> None:
    known, points = marks(holder), EquityPoint.objects.count()
    split(new_units, old_units)
    market.is_open = False
    for minutes in (60, 30, 1):
        at(market, OPEN - timedelta(minutes=minutes), AAA=price)
        everything(holder)
        assert waiting(holder)
        assert (marks(holder), EquityPoint.objects.count()) == (known, points)
    deposit(portfolio_id=holder.portfolio.id, amount=Decimal(10), actor=holder.owner)
    assert EquityPoint.objects.count() == points, "nobody knows what it is worth"

    market.is_open = True
    market.closes["AAA"] = price
    at(market, OPEN)
    everything(holder)
    book_due_actions()
    assert (holder.held("AAA"), waiting(holder)) == (left, False)
    market.tick(minutes=15)
    everything(holder)
    equity, peak = marks(holder)
    assert (equity, peak) == (known[0] + 10, known[1] * old_units / new_units)
    assert ([trade.trade_type for trade in holder.trades()], Halt.objects.count()) == (["buy"], 0)


def test_after_the_open_it_has_no_price_until_it_is_quoted_again(holder: Desk, market: Market) -> None:
    """The last price is of the day before; the first quote of others brings market time to the ex time."""
    known, points = marks(holder), EquityPoint.objects.count()
    quote = quoted_last(market)
    split(2, 1)
    at(market, OPEN)
    book_due_actions()
    CorporateActionSettlement.objects.update(began_at=database_now() - timedelta(hours=2))
    book_due_actions()
    everything(holder)
    assert (holder.held("AAA"), waiting(holder)) == (100, True)
    deposit(portfolio_id=holder.portfolio.id, amount=Decimal(10), actor=holder.owner)
    assert marks(holder) == (known[0] + 10, known[1] / 2)
    assert EquityPoint.objects.count() == points

    del market.quoted_at["AAA"]
    at(market, OPEN + timedelta(minutes=15), AAA=50.0)
    Quote.objects.filter(pk=quote.pk).update(market_time=market.as_of)
    book_due_actions()
    everything(holder)
    assert (waiting(holder), EquityPoint.objects.count()) == (False, points + 1)
    assert marks(holder) == (known[0] + 10, known[1] / 2)
    assert ([trade.trade_type for trade in holder.trades()], Halt.objects.count()) == (["buy"], 0)
    assert CorporateActionSettlement.objects.get().finished_at is not None


@pytest.mark.parametrize(("days", "waits"), [(6.9, True), (7.1, False)])
def test_what_is_never_quoted_again_is_worth_its_last_price_after_a_week(
    holder: Desk, market: Market, days: float, waits: bool
) -> None:
    """As is what is silent without a split: else the portfolio had no worth for ever."""
    quoted_last(market)
    split(2, 1)
    at(market, OPEN)
    book_due_actions()
    assert waiting(holder)
    at(market, OPEN + timedelta(days=days))
    assert waiting(holder) == waits


def test_a_split_that_was_announced_early_hides_no_price_before_the_last_close(
    holder: Desk, market: Market
) -> None:
    split(2, 1)
    at(market, CLOSE)
    assert not waiting(holder)
    market.tick(minutes=1)
    assert waiting(holder)


def test_on_an_exchange_that_never_closes_the_price_is_known_until_the_ex_time(
    holder: Desk, market: Market
) -> None:
    midnight = datetime(2010, 3, 10, tzinfo=UTC)
    CalendarDay.objects.all().delete()
    sessions(market, *(midnight + timedelta(days=day) for day in (-2, -1, 0, 1)), hours=24)
    split(2, 1, ex_at=midnight)
    at(market, midnight - timedelta(minutes=1))
    assert (waiting(holder), splits_at_hand(market.as_of)) == (False, {})
    at(market, midnight, AAA=50.0)
    assert waiting(holder)


def test_without_a_calendar_the_ex_time_counts(holder: Desk, market: Market) -> None:
    CalendarDay.objects.all().delete()
    split(2, 1)
    at(market, OPEN - timedelta(minutes=1))
    assert not waiting(holder)
    at(market, OPEN)
    assert waiting(holder)
