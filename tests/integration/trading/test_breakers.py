"""Breakers of portfolios, through real evaluations and bookings: once in an episode, and exits go on."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connections
from django.db.models import F

from foundation.clock import database_now
from foundation.core.money import as_decimal
from foundation.errors import Forbidden
from journal.models import Alert, Entry
from market.services import snapshots
from portfolios.models import LimitSet
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import deposit
from sessions.models import TradingSession
from tests.harness.paper import order, paper_market
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, risk_officer, step_later
from trading.models import AutoTrade, Halt
from trading.selectors.breakers import (
    losing_runs,
    losing_streaks,
    messages_last_minute,
    rejections_last_minute,
)
from trading.services import auto_trading, breakers
from trading.services.breakers import trip, trip_on_rates, trip_on_streaks
from trading.services.draining import drain_all
from trading.services.emergency_stop import release
from trading.services.facts import market_view
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences
from trading.services.watching import watch_breakers
from trading.services.worth import read_worth

pytestmark = pytest.mark.integration
ENTRY = STRONG_BUY_ENTRY["name"]
DAY_MINUTES = 24 * 60
SECOND = timedelta(seconds=1)
UNIT = Decimal("0.00000001")
SELL_ON_ADVICE = {
    "name": "Sell on advice", "rule_type": "exit",
    "conditions": [{"field": "ai_recommendation", "operator": "equals", "value": "STRONG_SELL"}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}  # fmt: skip


def limit(desk: Desk, **values: Any) -> None:
    """Set limits of the portfolio, beside those that it has."""
    key = ("portfolio", desk.portfolio.id)
    row = current_limit_sets([key]).get(key)
    kept = limit_values(row) if row is not None else {}
    wanted = {name: Decimal(str(value)) for name, value in values.items()}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=kept | wanted, actor=desk.owner)


def halts(desk: Desk) -> list[tuple[str, str, bool]]:
    """(breaker, episode, in force) of the portfolio's halts, the first armed first."""
    rows = Halt.objects.filter(scope="portfolio", scope_id=str(desk.portfolio.id)).order_by("armed_at")
    return [(row.armed_by_breaker, row.episode, row.released_at is None) for row in rows]


@pytest.fixture
def holding(market: Market) -> Desk:
    """5,000 of AAA are half of what Alice has, her rules advise BBB next, and nothing sells by itself."""
    market.tick()
    desk = Desk.open(market, rules=(_entry(50), SELL_ON_ADVICE))
    set_limits(
        scope="platform", actor=None,
        values=_platform(max_position_percentage=100, max_daily_loss_percentage=10),
    )  # fmt: skip
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 500
    market.advice.clear()
    market.advise("BBB")
    return desk


def _entry(percentage: float) -> dict[str, Any]:
    action = {**STRONG_BUY_ENTRY["actions"][0], "size_value": percentage, "max_position_size": percentage}
    return {**STRONG_BUY_ENTRY, "actions": [action]}


def _platform(**values: Any) -> dict[str, Decimal | None]:
    row = current_limit_sets([("platform", None)])["platform", None]
    return limit_values(row) | {name: Decimal(str(value)) for name, value in values.items()}


def loss_of(desk: Desk) -> Decimal:
    """Today's loss in percent, as the rules see it."""
    snapshot = snapshots.current()
    assert snapshot is not None
    worth = read_worth([desk.portfolio.id], market_view(snapshot))
    return as_decimal(-float(worth.valued.portfolio["daily_pnl_percentage"][0]))


def test_a_daily_loss_at_its_limit_stops_entries_of_the_same_evaluation(holding: Desk) -> None:
    """No rule asks for the stop."""
    holding.market.advice.clear()
    holding.step(AAA=95.0)
    loss = loss_of(holding)
    assert 2 < loss < 3
    limit(holding, max_daily_loss_percentage=loss + UNIT)
    holding.step()
    assert halts(holding) == []
    limit(holding, max_daily_loss_percentage=loss)
    holding.market.advise("CCC")
    holding.step()
    assert halts(holding) == [("daily_loss", "2010-03-01", True)]
    refused = decisions_of(holding, ENTRY)[-1]
    assert (refused.outcome, refused.code) == ("refused", "HALTED")
    assert holding.held("CCC") == 0


def test_what_it_measured_is_journalled_and_alerted(holding: Desk) -> None:
    holding.step(AAA=70.0)
    drain_all()
    halt = Halt.objects.get()
    assert (halt.scope, halt.mode, halt.armed_by, halt.armed_by_rule) == (
        "portfolio",
        "reduce_only",
        None,
        None,
    )
    assert halt.numbers["limit"] == "10" and float(halt.numbers["loss_percentage"]) > 14
    kinds = Entry.objects.filter(stream_id=holding.portfolio.id, kind__startswith="halt.").order_by("seq")
    assert list(kinds.values_list("kind", flat=True)) == ["halt.armed", "halt.drained"]
    assert '"breaker":"daily_loss"' in kinds[0].payload and '"loss_percentage"' in kinds[0].payload
    alert = Alert.objects.get(kind="halt.armed")
    assert alert.severity == "critical" and "armed by the breaker daily_loss: the loss of" in alert.message


def test_exits_go_on(holding: Desk) -> None:
    holding.step(AAA=70.0)
    holding.market.advise("AAA", "STRONG_SELL")
    holding.step()
    assert holding.held("AAA") == 0 and holding.held("BBB") == 0
    assert len(halts(holding)) == 1


def test_released_it_does_not_trip_again_that_day_but_the_next(holding: Desk) -> None:
    holding.step(AAA=70.0)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(holding))
    holding.step(AAA=65.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", False)]
    assert decisions_of(holding, ENTRY)[-1].code == "MAX_DAILY_LOSS"  # the check itself still refuses
    step_later(holding, minutes=DAY_MINUTES)
    assert len(halts(holding)) == 1  # the new day has lost nothing yet
    holding.step(AAA=40.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", False), ("daily_loss", "2010-03-02", True)]


def test_while_it_is_in_force_a_new_episode_arms_no_second_one(holding: Desk) -> None:
    """One halt stops all that two would, and one release must do; the new episode trips after it."""
    holding.step(AAA=70.0)
    step_later(holding, minutes=DAY_MINUTES)
    holding.step(AAA=50.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", True)]
    release(halt_id=Halt.objects.get().id, actor=risk_officer(holding))
    holding.step()
    assert halts(holding) == [("daily_loss", "2010-03-01", False), ("daily_loss", "2010-03-02", True)]


def test_only_a_risk_officer_releases_it(holding: Desk) -> None:
    holding.step(AAA=70.0)
    halt = Halt.objects.get()
    with pytest.raises(Forbidden, match="risk_officer"):
        release(halt_id=halt.id, actor=holding.owner)
    assert release(halt_id=halt.id, actor=risk_officer(holding)).released_at is not None


def test_a_drawdown_trips_once_for_each_peak(holding: Desk) -> None:
    limit(holding, max_drawdown_percentage=5)
    holding.step(AAA=95.0)
    assert halts(holding) == []  # 2.6 percent
    holding.step(AAA=89.0)
    (first,) = halts(holding)
    peak = Halt.objects.get().numbers["peak_equity"]
    assert first == ("drawdown", peak, True)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(holding))
    holding.step(AAA=88.0)
    assert len(halts(holding)) == 1
    holding.market.advice.clear()
    holding.step(AAA=130.0)  # a new peak
    step_later(holding, minutes=DAY_MINUTES)
    holding.step(AAA=115.0)
    assert [breaker for breaker, _, _ in halts(holding)] == ["drawdown", "drawdown"]
    assert halts(holding)[1][1] != peak


def test_an_equity_that_is_unknown_trips_nothing(holding: Desk) -> None:
    """The price is older than facts may be; entries are refused by the check."""
    holding.market.price_age_seconds = 3600
    holding.step(AAA=1.0)
    assert halts(holding) == []


def test_a_session_that_breaks_its_evaluation_still_has_its_breaker(
    holding: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(auto_trading, "execute_triggered_rules", broken)
    holding.step(AAA=70.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", True)]


def test_portfolios_that_lose_nothing_cost_no_query(desk: Desk, market: Market, monkeypatch: Any) -> None:
    monkeypatch.setattr(breakers, "effective_limits", lambda *_: pytest.fail("nobody has lost anything"))
    market.tick()
    desk.evaluate()


def test_the_sweep_watches_what_no_session_evaluates(holding: Desk) -> None:
    TradingSession.objects.update(status="stopped", end_time=database_now())
    holding.market.tick(minutes=DAY_MINUTES)
    watch_breakers()  # notes what the day began with
    holding.market.tick(AAA=70.0)
    watch_breakers()
    assert halts(holding) == [("daily_loss", "2010-03-02", True)]


def test_the_sweep_watches_what_is_evaluated_by_the_clock(market: Market) -> None:
    """Its next evaluation may be a day away."""
    market.tick()
    desk = Desk.open(market, config={"evaluation": {"every_seconds": 86_400}})
    limit(desk, max_daily_loss_percentage=1)
    market.advise("AAA")
    desk.step(AAA=100.0)
    assert desk.held("AAA") > 0
    market.advice.clear()
    market.tick(minutes=DAY_MINUTES)
    watch_breakers()
    market.tick(AAA=1.0)
    watch_breakers()
    assert [breaker for breaker, _, _ in halts(desk)] == ["daily_loss"]


def test_a_deposit_is_no_profit_and_a_loss_stays_one(holding: Desk) -> None:
    holding.step(AAA=81.0)
    assert halts(holding) == []  # 9.5 percent
    deposit(portfolio_id=holding.portfolio.id, amount=Decimal(1_000_000), actor=holding.owner)
    holding.step(AAA=75.0)
    assert halts(holding) == []


# --- losing streaks -----------------------------------------------------------------------------


def round_trip(desk: Desk, *, loss: float) -> None:
    """Buy AAA, and sell it at a price that is so much lower."""
    desk.market.advice.clear()
    desk.market.advise("AAA")
    desk.step(AAA=100.0)
    assert desk.held("AAA") > 0
    desk.market.advise("AAA", "STRONG_SELL")
    desk.step(AAA=100.0 - loss)
    assert desk.held("AAA") == 0
    desk.market.advice.clear()


@pytest.fixture
def trader(market: Market) -> Desk:
    market.tick()
    desk = Desk.open(market, rules=(_entry(5), SELL_ON_ADVICE))
    limit(desk, max_losing_streak=3)
    return desk


def test_a_streak_trips_when_its_last_loss_is_booked(trader: Desk) -> None:
    for losses in (1, 2):
        round_trip(trader, loss=1)
        assert losing_streaks([trader.portfolio.id]) == {trader.portfolio.id: losses}
        assert halts(trader) == []
    round_trip(trader, loss=1)
    last = trader.trades()[-1]
    assert halts(trader) == [("losing_streak", str(last.id), True)]
    assert Halt.objects.get().numbers == {"losses": 3, "last_trade_id": str(last.id), "limit": "3"}
    trader.market.advise("BBB")
    trader.step()
    assert decisions_of(trader, ENTRY)[-1].code == "HALTED"


def test_a_winner_ends_the_streak(trader: Desk) -> None:
    for loss in (1, 1, -5, 1, 1):
        round_trip(trader, loss=loss)
    assert losing_streaks([trader.portfolio.id]) == {trader.portfolio.id: 2}
    assert halts(trader) == []


def test_a_gain_that_the_fee_eats_is_a_loss(trader: Desk) -> None:
    round_trip(trader, loss=-5)
    sell = AutoTrade.objects.get(portfolio=trader.portfolio, trade_type="sell")
    for above, losses in ((0, 1), (Decimal("0.00000001"), 1), (Decimal("-0.00000001"), 0)):
        expected = 0 if above <= 0 else losses
        AutoTrade.objects.filter(pk=sell.pk).update(fees=F("realised_pnl") + above)
        assert losing_streaks([trader.portfolio.id])[trader.portfolio.id] == expected


def test_a_sale_that_ends_with_a_part_of_it_sold_counts(trader: Desk) -> None:
    """Four of ten are sold at a loss, and the day is over; of the six that are left four are sold with a profit."""
    market = trader.market
    order(trader, "buy", 10)
    trader.step()
    paper_market(trader, volume_limit_percentage="10")
    market.volumes["AAA"] = 40
    for price, quantity, losses, successful in ((95.0, 10, 1, 0), (105.0, 6, 0, 1)):
        close = market.as_of + timedelta(minutes=1)
        terms = {
            "order_type": "limit",
            "limit_price": Decimal(90),
            "time_in_force": "day",
            "expires_at": close,
        }
        sale = order(trader, "sell", quantity, session=trader.session, **terms)
        market.tick(AAA=price)
        execute_pending()
        sale.refresh_from_db()
        assert (sale.status, sale.filled_quantity) == ("expired", 4)
        assert losing_streaks([trader.portfolio.id]) == {trader.portfolio.id: losses}
        assert trader.refresh().session.successful_trades == successful
    assert book_differences() == []


def test_a_release_begins_a_new_count(trader: Desk) -> None:
    for _ in range(3):
        round_trip(trader, loss=1)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(trader))
    assert losing_streaks([trader.portfolio.id]) == {trader.portfolio.id: 0}
    assert trip_on_streaks([trader.portfolio.id]) == []
    for _ in range(2):
        round_trip(trader, loss=1)
    assert len(halts(trader)) == 1
    round_trip(trader, loss=1)
    assert [breaker for breaker, _, _ in halts(trader)] == ["losing_streak"] * 2


def test_the_sweep_finds_a_streak_when_the_limit_is_lowered(trader: Desk) -> None:
    for _ in range(2):
        round_trip(trader, loss=1)
    watch_breakers()
    assert halts(trader) == []
    limit(trader, max_losing_streak=2)
    watch_breakers()
    assert [breaker for breaker, _, _ in halts(trader)] == ["losing_streak"]


def test_streaks_of_many_portfolios_are_told_apart_in_one_query(market: Market) -> None:
    market.tick()
    loser = Desk.open(market, owner="loser", rules=(_entry(5), SELL_ON_ADVICE))
    idle = Desk.open(market, owner="idle", rules=())
    round_trip(loser, loss=1)
    runs = losing_runs([loser.portfolio.id, idle.portfolio.id])
    assert (runs[loser.portfolio.id].losses, runs[idle.portfolio.id].losses) == (1, 0)
    assert runs[loser.portfolio.id].last_trade_id == loser.trades()[-1].id
    assert losing_runs([]) == {}


# --- rates --------------------------------------------------------------------------------------


def rejected_trade(desk: Desk) -> None:
    """A buy of nearly all cash meets a price that has run away before it is executed."""
    desk.market.advice.clear()
    desk.market.advise("AAA")
    desk.market.tick(AAA=100.0)
    desk.evaluate()
    desk.step(AAA=150.0)
    assert desk.trades()[-1].status == "rejected"


@pytest.fixture
def spender(market: Market) -> Desk:
    market.tick()
    set_limits(
        scope="platform", actor=None,
        values=_platform(
            max_position_percentage=100, max_drawdown_percentage=100, max_rejections_per_minute=1
        ),
    )  # fmt: skip
    return Desk.open(market, rules=(_entry(97),))


def test_more_rejections_than_the_limit_within_a_minute_trip(spender: Desk) -> None:
    rejected_trade(spender)
    assert rejections_last_minute() == {spender.portfolio.id: 1}
    assert trip_on_rates() == []
    rejected_trade(spender)
    (halt,) = trip_on_rates()
    assert (halt.armed_by_breaker, halt.numbers) == ("rejection_rate", {"rejected": 2, "limit": "1"})
    assert trip_on_rates() == []
    release(halt_id=halt.id, actor=risk_officer(spender))
    assert rejections_last_minute() == {} and trip_on_rates() == []  # they are judged


def test_rejections_older_than_a_minute_do_not_count(spender: Desk) -> None:
    for _ in range(2):
        rejected_trade(spender)
    AutoTrade.objects.update(updated_at=database_now() - 61 * SECOND)
    assert trip_on_rates() == [] and rejections_last_minute() == {}
    AutoTrade.objects.update(updated_at=database_now() - 58 * SECOND)
    assert len(trip_on_rates()) == 1


@pytest.mark.parametrize(("most", "trips"), [(3, False), (2, True)])
def test_orders_that_use_up_the_messages_of_entries_within_a_minute_trip(
    desk: Desk, most: int, trips: bool
) -> None:
    """Of so few messages none is kept for reductions."""
    for symbol in ("AAA", "BBB"):
        desk.market.advise(symbol)
    desk.step()
    assert messages_last_minute() == {desk.portfolio.id: 2}
    limit(desk, max_messages_per_minute=most)
    assert [halt.armed_by_breaker for halt in trip_on_rates()] == (["order_rate"] if trips else [])


# --- once, whoever looks ------------------------------------------------------------------------


def by_hand(desk: Desk, **given: Any) -> Halt | None:
    wanted: dict[str, Any] = {
        "breaker": "daily_loss", "scope": "portfolio", "scope_id": str(desk.portfolio.id), "episode": "today",
        "reason": "a test", "numbers": {"limit": Decimal(1)},
    }  # fmt: skip
    return trip(**wanted | given)


def test_of_workers_that_find_the_same_at_once_one_arms(desk: Desk) -> None:
    found: list[Halt | None] = []
    for episode in ("one", "two", "three"):
        in_parallel(lambda episode=episode: found.append(by_hand(desk, episode=episode)), workers=4)  # type: ignore[misc]
        release(halt_id=Halt.objects.get(released_at=None).id, actor=risk_officer(desk))
    assert len(found) == 12 and sum(halt is not None for halt in found) == 3
    assert sorted(Halt.objects.values_list("episode", flat=True)) == ["one", "three", "two"]
    assert Alert.objects.filter(kind="halt.armed").count() == 3


def in_parallel(work: Callable[[], object], *, workers: int) -> None:
    barrier, errors = threading.Barrier(workers), []

    def run() -> None:
        try:
            barrier.wait(10)
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def test_breakers_scopes_and_portfolios_do_not_stand_for_each_other(desk: Desk, market: Market) -> None:
    other = Desk.open(market, owner="dora")
    rule_id = str(desk.portfolio.trading_rules.get(rule_type="entry").id)
    armed = [
        by_hand(desk),
        by_hand(other),
        by_hand(desk, breaker="drawdown"),
        by_hand(desk, breaker="repeated_execution", scope="rule", scope_id=rule_id),
    ]
    assert None not in armed and Halt.objects.count() == 4


def test_a_rule_that_a_breaker_disabled_waits_for_a_risk_officer(desk: Desk, market: Market) -> None:
    rule_id = str(desk.portfolio.trading_rules.get(rule_type="entry").id)
    halt = by_hand(
        desk, breaker="repeated_execution", scope="rule", scope_id=rule_id, episode="17 2010-03-01"
    )
    assert halt is not None
    market.advise("AAA")
    desk.step()
    assert decisions_of(desk, ENTRY)[-1].code == "HALTED"
    with pytest.raises(Forbidden, match="risk_officer"):
        release(halt_id=halt.id, actor=desk.owner)
    release(halt_id=halt.id, actor=risk_officer(desk))
    desk.step()
    assert desk.held("AAA") > 0


def test_the_database_knows_a_breaker_by_its_episode_and_mode(desk: Desk) -> None:
    halt = by_hand(desk)
    assert halt is not None
    row = {"armed_by_breaker": "daily_loss", "scope": "portfolio", "scope_id": halt.scope_id, "reason": "x"}
    for change in (
        {"mode": "halt", "episode": "other"},  # a breaker only reduces
        {"mode": "reduce_only", "episode": ""},
        {"mode": "reduce_only", "episode": "today"},  # tripped already
        {"mode": "reduce_only", "episode": "other"},  # in force already
        {"mode": "reduce_only", "episode": "other", "armed_by": desk.owner},
        {"mode": "reduce_only", "episode": "other", "armed_by_breaker": "mood"},
    ):
        with pytest.raises(IntegrityError, match="halt_"):
            Halt.objects.create(**row | change)


def test_a_scope_that_is_not_there_is_an_error_not_a_trip(desk: Desk) -> None:
    with pytest.raises(Exception, match="There is no portfolio"):
        by_hand(desk, scope_id=str(uuid4()))


def test_the_tightest_limit_counts(holding: Desk) -> None:
    set_limits(
        scope="session", scope_id=holding.session.id, portfolio_id=holding.portfolio.id, actor=holding.owner,
        values={"max_daily_loss_percentage": Decimal(2)},
    )  # fmt: skip
    holding.step(AAA=94.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", True)]
    assert Halt.objects.get().numbers["limit"] == "2"
    assert LimitSet.objects.filter(scope="session").exists()


def test_a_session_that_alone_sets_a_limit_trips_at_it(holding: Desk) -> None:
    """It permits no entry, and holds up all the same."""
    set_limits(scope="platform", values=_platform() | {"max_daily_loss_percentage": None}, actor=None)
    set_limits(
        scope="session", scope_id=holding.session.id, portfolio_id=holding.portfolio.id, actor=holding.owner,
        values={"max_daily_loss_percentage": Decimal(2)},
    )  # fmt: skip
    holding.step(AAA=94.0)
    assert halts(holding) == [("daily_loss", "2010-03-01", True)]
