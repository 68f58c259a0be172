"""A position's stop loss, target and trailing stop: attached by the fill, fired by the tick, told by the journal."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from journal.models import Alert
from market.services import snapshots
from portfolios.models import Position, PositionMark
from sessions.services.sessions import pause_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from tests.integration.trading.protecting import COST, buying, peak, protected, sells, stopped, tick, told
from tests.integration.trading.test_races import in_parallel
from trading.models import Protection
from trading.services.protection_watch import watch_protections
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


def test_a_fill_attaches_what_its_buy_carries(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5, take_profit_percentage=20, trailing_stop_percentage=7.5)
    (trade,) = desk.trades()
    assert (trade.stop_loss_percentage, trade.trailing_stop_percentage) == (5, D("7.5"))
    row = Protection.objects.get()
    assert (row.portfolio_id, row.instrument.symbol) == (desk.portfolio.id, "AAA")
    assert (row.stop_loss_percentage, row.take_profit_percentage, row.trailing_stop_percentage) == (
        5, 20, D("7.5"),
    )  # fmt: skip
    assert (row.trade, row.rule_version, row.actor) == (trade, trade.rule_version, trade.actor)
    position = Position.objects.get(portfolio=desk.portfolio)
    assert row.opened_at == position.opened_at == market.as_of
    assert position.average_cost == COST
    assert peak(desk) == 100  # of the market it was bought in
    assert len(told(desk, "protection.set")) == 1


def test_a_buy_without_percentages_leaves_the_position_alone(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 50 and not Protection.objects.exists()
    assert tick(desk, AAA=1.0) == 0


@pytest.mark.parametrize(
    ("percentages", "before", "at", "kind", "severity"),
    [
        # 100.12 × 0.95 = 95.114
        ({"stop_loss_percentage": 5}, 95.12, 95.11, "stop_loss", "warning"),
        # 100.12 × 1.2 = 120.144
        ({"take_profit_percentage": 20}, 120.14, 120.15, "take_profit", "info"),
        # 100 × 0.96 = 96, exactly
        ({"trailing_stop_percentage": 4}, 96.01, 96.0, "trailing_stop", "warning"),
    ],
)
def test_it_fires_once_at_its_threshold(
    market: Market, percentages: dict[str, float], before: float, at: float, kind: str, severity: str
) -> None:
    desk = protected(market, **percentages)
    assert tick(desk, AAA=before) == 0
    assert desk.decisions()[-1].rule is not None, "nothing is recorded as long as nothing is reached"
    assert tick(desk, AAA=at) == 1
    assert watch_protections() == 0  # it is promised to the first sale
    (sale,) = sells(desk)
    row = Protection.objects.get()
    assert (sale.origin, sale.status, sale.quantity) == ("protection", "pending", 50)
    assert (sale.rule, sale.session, sale.actor) == (None, desk.session, f"protection:{row.id} {kind}")
    why = sale.decision
    assert (why.outcome, why.session, why.rule) == ("traded", None, None)
    assert why.detail == f"sell 50 AAA: {kind.replace('_', ' ')}"
    assert f"the price is {D(str(at)).normalize():f}, at or" in why.explanation["sentence"]
    assert why.explanation["protection"]["kind"] == kind
    assert {check["code"] for check in why.checks} >= {"HALTED", "MARKET_CLOSED", "INSUFFICIENT_POSITION"}
    (event,) = told(desk, "protection.triggered")
    assert f'"trade_id":"{sale.id}"' in event.payload and f'"decision_id":"{why.id}"' in event.payload
    assert [row.severity for row in Alert.objects.filter(kind="protection.triggered")] == [severity]
    execute_pending()
    sale.refresh_from_db()
    assert (sale.status, desk.held("AAA")) == ("filled", 0)
    assert not Protection.objects.exists()
    assert len(told(desk, "protection.removed")) == 1
    assert tick(desk, AAA=at) == 0
    assert book_differences() == []
    assert desk.refresh().session.total_trades == 2


def test_a_trailing_stop_follows_the_price_up_and_never_down(market: Market) -> None:
    desk = protected(market, trailing_stop_percentage=10)
    for price, highest in ((110.0, 110), (150.0, 150), (135.01, 150), (140.0, 150)):
        assert tick(desk, AAA=price) == 0
        assert peak(desk) == highest
    assert tick(desk, AAA=135.0) == 1  # 10 % below 150
    execute_pending()
    assert desk.held("AAA") == 0


def test_a_peak_that_comes_late_does_not_lower_it(market: Market) -> None:
    """Evaluation and the watcher both note peaks; whoever read an older market changes nothing."""
    desk = protected(market, trailing_stop_percentage=10)
    tick(desk, AAA=150.0)
    desk.step(AAA=140.0)
    assert peak(desk) == 150


def test_a_position_opened_anew_has_a_peak_of_its_own(market: Market) -> None:
    desk = protected(market, trailing_stop_percentage=10)
    tick(desk, AAA=200.0)
    tick(desk, AAA=180.0)
    execute_pending()
    assert desk.held("AAA") == 0
    market.advise("AAA")
    desk.step(AAA=100.0)
    assert desk.held("AAA") > 0 and peak(desk) == 100
    assert tick(desk, AAA=90.01) == 0
    assert tick(desk, AAA=90.0) == 1


def test_it_survives_a_restart(market: Market) -> None:
    """Nothing of it is in a process: with every cache empty it fires all the same."""
    desk = protected(market, trailing_stop_percentage=10)
    tick(desk, AAA=130.0)
    snapshots._cache.clear()
    market.tick(AAA=117.0)
    snapshots._cache.clear()
    assert watch_protections() == 1
    (sale,) = sells(desk)
    assert sale.decision.explanation["protection"]["reference_price"] == "130"


def stopping(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)


def paused(desk: Desk) -> None:
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)


@pytest.mark.parametrize("state", [stopped, stopping, paused])
def test_it_needs_no_running_session(market: Market, state: Callable[[Desk], None]) -> None:
    desk = protected(market, stop_loss_percentage=5)
    state(desk)
    assert tick(desk, AAA=90.0) == 1
    (sale,) = sells(desk)
    assert sale.session == (None if state is stopped else desk.session)
    execute_pending()
    finish_stopping()
    assert desk.held("AAA") == 0 and book_differences() == []
    assert desk.refresh().session.status == ("paused" if state is paused else "stopped")


def test_two_watchers_at_once_sell_once(market: Market) -> None:
    market.tick()
    desks = [
        Desk.open(market, owner=f"owner-{number}", rules=(buying(stop_loss_percentage=5),))
        for number in range(6)
    ]
    market.advise("AAA")
    desks[0].step()
    market.tick(AAA=90.0)
    in_parallel(lambda: (watch_protections(), execute_pending()))
    execute_pending()
    assert [[trade.status for trade in sells(desk)] for desk in desks] == [["filled"]] * 6
    assert not Protection.objects.exists() and book_differences() == []


def test_a_stale_price_never_fires(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5, trailing_stop_percentage=5)
    market.price_age_seconds = 121
    assert tick(desk, AAA=50.0) == 0
    assert tick(desk, AAA=500.0) == 0
    assert peak(desk) == 100, "and is no peak"
    market.price_age_seconds, market.closes["AAA"] = 119, 100.0
    assert tick(desk, AAA=50.0) == 1


@pytest.mark.parametrize("price", [float("nan"), 0.0])
def test_a_price_that_is_none_never_fires(market: Market, price: float) -> None:
    desk = protected(market, stop_loss_percentage=5)
    assert tick(desk, AAA=price) == 0
    assert [decision.outcome for decision in desk.decisions()] == ["traded"]


def test_further_buys_move_the_threshold_and_replace_what_they_name(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5, take_profit_percentage=20)
    desk.add_rule(
        **{**buying(stop_loss_percentage=10, trailing_stop_percentage=30), "name": "More", "priority": 9}
    )
    market.advise("AAA")
    market.prices["AAA"] = 99.0
    desk.step()
    row = Protection.objects.get()
    assert desk.held("AAA") > 50 and row.actor == desk.trades()[-1].actor
    assert (row.stop_loss_percentage, row.take_profit_percentage, row.trailing_stop_percentage) == (
        10,
        20,
        30,
    )
    cost = Position.objects.get(portfolio=desk.portfolio).average_cost
    threshold = cost * D("0.9")
    market.advise("AAA", "HOLD", 0.5)
    assert tick(desk, AAA=float(round(threshold, 2)) + 0.01) == 0
    assert tick(desk, AAA=float(round(threshold, 2)) - 0.01) == 1


def test_a_split_fires_nothing(market: Market) -> None:
    """Quantity, cost and peak are scaled with the price: percentages stay true."""
    desk = protected(market, stop_loss_percentage=5, take_profit_percentage=20, trailing_stop_percentage=5)
    Position.objects.update(quantity=100, average_cost=COST / 2)
    PositionMark.objects.update(peak_price=50)
    assert tick(desk, AAA=50.0) == 0
    assert tick(desk, AAA=47.51) == 1, "50.06 × 0.95 = 47.557"
    assert sells(desk)[0].quantity == 100
