"""The cadence of equity curves: one point of each portfolio in a quarter of an hour, at one statement a slice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from market.services.corporate_actions import NewCorporateAction, record
from portfolios.core.equity import bucket_of
from portfolios.models import EquityPoint
from portfolios.services.corporate_actions import book_due_actions
from portfolios.services.equity import thin_points
from portfolios.services.portfolios import deposit, withdraw
from sessions.services.sessions import stop_trading_session
from tests.harness.paper import holding, wide_limits
from tests.harness.trading import Desk, Market
from trading.core.market_facts import STALE_SECONDS
from trading.services import equity_points
from trading.services.auto_trading import FailedSlice
from trading.services.performance import get_session_performance
from trading.services.pruning import prune
from trading.services.stopping import finish_stopping
from trading.services.watching import watch_breakers

pytestmark = pytest.mark.integration
D = Decimal
QUARTER = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equity_points, "_tried", equity_points.Tried())


def of_the_cadence(desk: Desk) -> list[datetime]:
    rows = EquityPoint.objects.filter(portfolio=desk.portfolio, bucket__isnull=False)
    return list(rows.order_by("id").values_list("at", flat=True))


def statements(work: Callable[[], Any]) -> int:
    """How many statements write points."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return sum("INSERT INTO portfolios_equitypoint" in query["sql"] for query in captured)


def test_one_point_in_a_quarter_of_an_hour_and_one_statement_for_all(
    desks: Callable[[int], list[Desk]], market: Market
) -> None:
    alice, bob = desks(2)
    market.as_of = datetime(2010, 3, 1, 14, 44, tzinfo=UTC)
    written, moments = [], []
    for _ in range(17):
        market.tick()
        written.append(statements(alice.evaluate))
        moments.append(market.as_of)
    assert written == [1, *[0] * 14, 1, 0]
    assert of_the_cadence(alice) == of_the_cadence(bob) == [moments[0], moments[15]]
    buckets = EquityPoint.objects.filter(bucket__isnull=False).values_list("at", "bucket")
    assert all(bucket == bucket_of(at, minutes=15) for at, bucket in buckets)


def test_another_process_writes_no_second_point(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    desk.evaluate()
    first = of_the_cadence(desk)
    monkeypatch.setattr(equity_points, "_tried", equity_points.Tried())
    market.tick()
    assert statements(desk.evaluate) == 1
    assert of_the_cadence(desk) == first
    market.tick()
    assert statements(desk.evaluate) == 0


def test_a_portfolio_that_joins_later_has_its_point_at_once(desk: Desk, market: Market) -> None:
    market.tick()
    desk.evaluate()
    late = Desk.open(market, owner="bob")
    market.tick()
    assert statements(late.evaluate) == 1
    assert of_the_cadence(late) == [market.as_of]
    assert len(of_the_cadence(desk)) == 1


def test_what_was_rolled_back_is_written_again(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    with monkeypatch.context() as patched:
        patched.setattr("trading.services.auto_trading.record_run", lambda *args, **more: 1 / 0, raising=True)
        assert isinstance(desk.evaluate(), FailedSlice)
    assert of_the_cadence(desk) == []
    market.tick()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE trading_sessions_evaluationslice SET due_at = now()")
    desk.evaluate()
    assert of_the_cadence(desk) == [market.as_of]


def test_a_point_says_what_the_books_say(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    market.tick(minutes=15, AAA=101.25)
    desk.evaluate()
    point = EquityPoint.objects.filter(portfolio=desk.portfolio).latest("id")
    position = desk.refresh().portfolio.positions.get()
    assert (point.at, point.cash, point.paid_in) == (market.as_of, desk.portfolio.cash, 100_000)
    assert (point.exposure, point.cost) == (position.quantity * D("101.25"), position.cost)
    assert point.equity == point.cash + point.exposure
    assert point.unrealised_pnl == point.exposure - position.cost > 0


def test_while_a_price_is_stale_there_is_no_point(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    known = of_the_cadence(desk)
    market.price_age_seconds = STALE_SECONDS + 1
    market.tick(minutes=15)
    assert statements(desk.evaluate) == 0  # nothing is quoted
    market.is_open = False
    market.tick(minutes=15)
    assert statements(desk.evaluate) == 0  # nor at night, though it is known what everything is worth
    assert of_the_cadence(desk) == known
    market.is_open, market.price_age_seconds = True, 0
    market.tick(minutes=15)
    desk.evaluate()
    assert of_the_cadence(desk) == [*known, market.as_of]


def test_money_has_a_point_though_something_held_is_not_quoted_just_then(desk: Desk, market: Market) -> None:
    """Without it, a deposit of nine times what was there would make 5 % on all of it a return of some 50 %."""

    def look(minutes: float = 1, **prices: float) -> None:
        market.tick(minutes=minutes, **prices)
        desk.evaluate()

    wide_limits()
    holding(desk, 900)
    look(minutes=15)
    withdraw(portfolio_id=desk.portfolio.id, amount=D(9_000), actor=desk.owner)
    market.price_age_seconds = STALE_SECONDS + 1
    look()
    points = EquityPoint.objects.filter(portfolio=desk.portfolio)
    known = points.count()
    deposit(portfolio_id=desk.portfolio.id, amount=D(900_000), actor=desk.owner)
    assert points.count() == known + 1
    market.price_age_seconds = 0
    look(minutes=15, AAA=105.0)
    told = get_session_performance(desk.session.id)
    assert 0.3 < float(told["return_percentage"]) < 0.5


def test_between_a_split_and_its_booking_nothing_has_doubled_or_halved(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    known, units = of_the_cadence(desk), desk.held("AAA")
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + QUARTER, new_units=2, old_units=1,
        cash_in_lieu_price=D(50),
    )  # fmt: skip
    record(item, actor=None)
    market.closes["AAA"] = 50.0
    market.tick(minutes=15, AAA=50.0)
    desk.evaluate()
    deposit(portfolio_id=desk.portfolio.id, amount=D(10), actor=desk.owner)
    assert of_the_cadence(desk) == known
    assert get_session_performance(desk.session.id)["unrealised_pnl"] is None
    book_due_actions()
    assert desk.held("AAA") == 2 * units
    market.tick(minutes=15)
    desk.evaluate()
    assert of_the_cadence(desk) == [*known, market.as_of]
    worth = {point.equity - point.paid_in for point in EquityPoint.objects.filter(portfolio=desk.portfolio)}
    assert max(worth) - min(worth) < units  # fees and the spread, and nothing else


def test_prices_from_before_a_split_do_not_value_what_is_held_after_it(desk: Desk, market: Market) -> None:
    """An evaluation that began before the split was in the market comes to write when it is in the books already."""
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + 2 * QUARTER, new_units=2, old_units=1,
        cash_in_lieu_price=D(50),
    )  # fmt: skip
    record(item, actor=None)
    market.tick(minutes=15)
    known = of_the_cadence(desk)

    def overtaken(*args: Any, **more: Any) -> Any:
        market.closes["AAA"] = 50.0
        market.tick(minutes=15, AAA=50.0)
        book_due_actions()
        return original(*args, **more)

    original = equity_points.note_points
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(equity_points, "note_points", overtaken)
        desk.evaluate()
    assert desk.held("AAA") == 100
    assert of_the_cadence(desk) == known


def test_the_curve_goes_on_where_no_session_runs_but_something_is_held(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    market.tick(minutes=15)
    watch_breakers()
    assert of_the_cadence(desk)[-1] == market.as_of


def a_month_of_points(desk: Desk) -> None:
    """From the first of March on: each day opens, falls, rises and closes, a little higher than the day before."""
    start = datetime(2010, 3, 1, 15, tzinfo=UTC)
    EquityPoint.objects.bulk_create(
        EquityPoint(
            portfolio=desk.portfolio, at=at, bucket=bucket_of(at, minutes=15), cash=100_000 + 100 * day + gain,
            exposure=0, cost=0, paid_in=100_000,
        )
        for day in range(31)
        for hour, gain in enumerate((0, 10, -50, 20, 40, 90, 30))
        for at in [start + timedelta(days=day, hours=hour)]
    )  # fmt: skip


def test_of_old_days_a_few_points_stay_and_the_figures_are_the_same(
    desk: Desk, market: Market, settings: Any
) -> None:
    a_month_of_points(desk)
    market.as_of = datetime(2010, 4, 1, 14, tzinfo=UTC)
    market.tick()
    names = ("return_percentage", "max_drawdown_percentage", "sharpe_ratio", "measured_from", "measured_to")
    before = get_session_performance(desk.session.id)
    assert before["sharpe_ratio"] is not None and before["max_drawdown_percentage"] > 0
    rows = EquityPoint.objects.filter(portfolio=desk.portfolio)
    beside_the_cadence = set(rows.filter(bucket=None).values_list("id", flat=True))
    assert beside_the_cadence and rows.count() == 31 * 7 + len(beside_the_cadence)

    settings.EQUITY_FULL_DAYS = 11
    assert thin_points() == 20 * 4
    assert thin_points() == 0
    kept = rows.filter(at__lt=datetime(2010, 3, 21, tzinfo=UTC)).exclude(id__in=beside_the_cadence)
    gains = {int(point.equity) - 100_000 - 100 * (point.at.day - 1) for point in kept}
    assert (kept.count(), gains) == (20 * 3, {-50, 90, 30})
    assert rows.filter(at__gte=datetime(2010, 3, 21, tzinfo=UTC), bucket__isnull=False).count() == 11 * 7
    assert beside_the_cadence <= set(rows.values_list("id", flat=True))
    after = get_session_performance(desk.session.id)
    assert {name: after[name] for name in names} == {name: before[name] for name in names}

    settings.EQUITY_FULL_DAYS = 1
    prune()
    assert rows.filter(bucket__isnull=False).count() == 7  # the day before the market's


def test_many_portfolios_are_thinned_in_pieces(
    desks: Callable[[int], list[Desk]], market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portfolios.services.equity.THIN_PORTFOLIOS", 2)
    for desk in desks(3):
        a_month_of_points(desk)
    market.as_of = datetime(2010, 5, 10, 14, tzinfo=UTC)
    market.tick()
    assert thin_points(seconds=0) == 0
    assert thin_points(seconds=60) == 3 * 31 * 4
    assert not EquityPoint.objects.filter(bucket__isnull=False).exists()
