"""Orders of every type on real snapshots: what they get, what the books say right after each tick, and how they end."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.models import Entry
from market.services import snapshots
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import Reservation
from tests.harness.paper import (
    fresh,
    holding,
    order,
    paper_market,
    wide_limits,
    withdraw_what_is_free,
)
from tests.harness.trading import Desk, Market
from tests.integration.trading.paper_steps import state, tick
from trading.core.paper_matching import Progress
from trading.models import AutoTrade, Execution, Protection
from trading.services import trade_execution
from trading.services.emergency_stop import arm
from trading.services.paper_due import Looked
from trading.services.paper_market import match
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture(autouse=True)
def limits(committed_db: object) -> None:
    wide_limits()


def kinds(desk: Desk, trade: AutoTrade) -> list[str]:
    rows = Entry.objects.filter(stream_id=desk.portfolio.id, payload__contains=str(trade.id)).order_by("seq")
    return [kind for kind in rows.values_list("kind", flat=True) if kind.startswith("trade.")]


# Parts


def test_a_large_order_is_filled_over_several_ticks(desk: Desk, market: Market) -> None:
    """A tenth of 400 on each; what is filled is paid, the rest stays reserved, and the session counts one trade."""
    paper_market(desk, volume_limit_percentage="10", fee_minimum="1", fee_bps="0", slippage_bps="0")
    market.volumes["AAA"] = 400
    trade = order(desk, "buy", 100)
    AutoTrade.objects.filter(pk=trade.pk).update(
        session=desk.session, stop_loss_percentage=D(5), rule_version=None
    )
    reserved = Reservation.objects.get(owner_id=trade.id).cash
    for filled in (40, 80):
        assert tick(market) == 1
        assert state(trade) == ("partially_filled", filled)
        assert execute_pending() == 0, "once on each snapshot"
        desk.refresh()
        left = Reservation.objects.get(owner_id=trade.id).cash
        assert left == desk.portfolio.reserved_cash
        assert abs(left - (reserved - 1) * (100 - filled) / 100) < D("0.000001")
        assert desk.portfolio.cash == 100_000 - filled * D("100.10") - 1
        assert (desk.held("AAA"), desk.session.total_trades) == (filled, 1)
        assert desk.session.total_pnl == -1, "the minimum is of the order"
        assert Protection.objects.get(portfolio=desk.portfolio).stop_loss_percentage == 5
    assert tick(market) == 1
    assert state(trade) == ("filled", 100)
    desk.refresh()
    assert (desk.portfolio.reserved_cash, desk.held("AAA"), desk.session.total_trades) == (0, 100, 1)
    assert not Reservation.objects.filter(owner_id=trade.id).exists()
    assert [row.quantity for row in Execution.objects.filter(trade=trade).order_by("id")] == [40, 40, 20]
    assert kinds(desk, trade) == [
        "trade.created",
        "trade.partially_filled",
        "trade.partially_filled",
        "trade.filled",
    ]


def test_a_sale_in_parts_frees_what_it_sells_and_ends_its_protection(desk: Desk, market: Market) -> None:
    holding(desk, 50)
    paper_market(desk, volume_limit_percentage="10")
    market.volumes["AAA"] = 300
    sale = order(desk, "sell", 50)
    tick(market)
    position = desk.portfolio.positions.get()
    assert (state(sale), position.quantity, position.reserved_quantity) == (("partially_filled", 30), 20, 20)
    tick(market)
    position.refresh_from_db()
    assert (state(sale), position.quantity, position.reserved_quantity) == (("filled", 50), 0, 0)


def test_no_volume_and_an_unknown_one_fill_nothing(desk: Desk, market: Market) -> None:
    paper_market(desk, volume_limit_percentage="10")
    trade = order(desk)
    assert tick(market) == 0 and state(trade) == ("pending", 0)
    market.volumes["AAA"] = 9
    assert tick(market) == 1 and state(trade) == ("accepted", 0)
    market.volumes["AAA"] = 10
    assert tick(market) == 1 and state(trade) == ("partially_filled", 1)


def test_a_part_that_cannot_be_paid_ends_the_order_and_what_was_filled_stays(
    desk: Desk, market: Market
) -> None:
    """The fee has been raised since it was reserved, and nothing is free."""
    paper_market(desk, volume_limit_percentage="10", fee_bps="0", slippage_bps="0")
    market.volumes["AAA"] = 2000
    waits, works = order(desk, "buy", 100), order(desk, "buy", 800)
    tick(market)
    assert (state(works), state(waits)) == (("partially_filled", 100), ("filled", 100))
    second = order(desk, "buy", 50)
    withdraw_what_is_free(desk)
    paper_market(desk, fee_minimum="9000")
    assert tick(market) == 2
    assert (state(works), state(second)) == (("cancelled", 100), ("rejected", 0))
    assert "beyond what was reserved" in fresh(works).status_reason
    desk.refresh()
    assert desk.portfolio.cash > 0 and desk.portfolio.reserved_cash == 0 and desk.held("AAA") == 200


# Limits and stops


def test_a_limit_order_rests_until_the_market_comes_to_it(desk: Desk, market: Market) -> None:
    trade = order(desk, "buy", 10, order_type="limit", limit_price=D("95.00"))
    assert tick(market) == 1 and state(trade) == ("accepted", 0)
    assert tick(market, AAA=96.0) == 0
    assert tick(market, AAA=94.0) == 1 and state(trade) == ("filled", 10)
    assert fresh(trade).executed_price == D("94.10")  # the ask of 94.09, slippage and tick: better than 95
    assert kinds(desk, trade) == ["trade.created", "trade.accepted", "trade.filled"]


def test_a_marketable_limit_order_is_filled_at_once_and_never_beyond_its_limit(
    desk: Desk, market: Market
) -> None:
    paper_market(desk, slippage_bps="500")
    trade = order(desk, "buy", 10, order_type="limit", limit_price=D("101.00"))
    tick(market)
    assert (state(trade), fresh(trade).executed_price) == (("filled", 10), D("101.00"))


def test_a_gap_through_the_stop_is_sold_at_the_gaps_price(desk: Desk, market: Market) -> None:
    holding(desk, 10)
    stop = order(desk, "sell", 10, order_type="stop", stop_price=D("95.00"))
    assert tick(market) == 1 and state(stop) == ("accepted", 0)
    assert tick(market, AAA=95.01) == 0
    assert tick(market, AAA=80.0) == 1
    now = fresh(stop)
    assert (now.status, now.executed_price, now.triggered_at) == ("filled", D("79.91"), market.as_of)
    assert kinds(desk, stop)[-2:] == ["trade.triggered", "trade.filled"]


def test_a_stop_limit_that_the_gap_leaves_behind_rests_at_its_limit(desk: Desk, market: Market) -> None:
    holding(desk, 10)
    stop = order(desk, "sell", 10, order_type="stop_limit", stop_price=D("95.00"), limit_price=D("94.00"))
    tick(market)
    assert tick(market, AAA=80.0) == 1
    assert state(stop) == ("accepted", 0) and fresh(stop).triggered_at == market.as_of
    assert tick(market, AAA=90.0) == 0
    assert tick(market, AAA=94.2) == 1 and state(stop) == ("filled", 10)


def test_a_trailing_stop_follows_without_a_batch_and_sells_behind_the_best_price(
    desk: Desk, market: Market
) -> None:
    holding(desk, 10)
    stop = order(desk, "sell", 10, order_type="trailing_stop", trail_percentage=D(10))
    assert tick(market) == 1 and fresh(stop).best_price == 100
    for price in (110.0, 105.0, 99.01):
        assert tick(market, AAA=price) == 0
        assert fresh(stop).best_price == 110
    assert tick(market, AAA=99.0) == 1 and state(stop) == ("filled", 10)


def test_latency_is_market_time(desk: Desk, market: Market) -> None:
    paper_market(desk, latency_ms=60_000)
    market.tick()
    early = order(desk)  # decided now: the next minute's tick is the first that it meets
    assert execute_pending() == 0 and state(early) == ("pending", 0)
    assert tick(market) == 1 and state(early) == ("filled", 10)


def test_a_touch_is_filled_by_chance_and_the_same_seed_has_the_same_luck(desk: Desk, market: Market) -> None:
    paper_market(desk, touch_fill_percentage="0")
    trade = order(desk, "buy", 10, order_type="limit", limit_price=D("100.10"))  # the ask
    for _ in range(3):
        tick(market)
        assert state(trade) == ("accepted", 0)
    paper_market(desk, touch_fill_percentage="100")
    assert tick(market) == 1 and state(trade) == ("filled", 10)


def test_another_run_of_the_same_market_with_the_same_seed_has_the_same_luck(market: Market) -> None:
    """Other portfolios, orders and ids; a unit for each snapshot on which the order was lucky."""
    market.tick()
    market.volumes["AAA"] = 10
    trades = []
    for owner, seed in (("alice", 5), ("bob", 5), ("charlie", 6)):
        desk = Desk.open(market, owner=owner)
        paper_market(desk, touch_fill_percentage="50", volume_limit_percentage="10", seed=seed)
        trades.append(order(desk, "buy", 20, order_type="limit", limit_price=D("100.10")))
    runs = []
    for _ in range(12):
        tick(market)
        runs.append([state(trade)[1] for trade in trades])
    first, again, otherwise = zip(*runs, strict=True)
    assert first == again != otherwise
    assert 0 < first[-1] < 12


# Their end


def test_a_day_order_ends_with_its_day_and_a_gtc_order_rests(desk: Desk, market: Market) -> None:
    close = market.as_of + timedelta(minutes=2)
    terms = {"order_type": "limit", "limit_price": D("90.00")}
    day = order(desk, "buy", 10, time_in_force="day", expires_at=close, **terms)
    gtc = order(desk, "buy", 11, **terms)
    assert tick(market) == 2
    reserved = desk.refresh().portfolio.reserved_cash
    assert tick(market) == 1, "at the close"
    assert (state(day), state(gtc)) == (("expired", 0), ("accepted", 0))
    assert 0 < desk.refresh().portfolio.reserved_cash < reserved
    assert kinds(desk, day)[-1] == "trade.expired"
    market.is_open = False
    assert tick(market) == 0 and state(gtc) == ("accepted", 0)


def test_what_is_left_at_the_close_ends_after_its_last_fill(desk: Desk, market: Market) -> None:
    paper_market(desk, volume_limit_percentage="10")
    market.volumes["AAA"] = 40
    close = market.as_of + timedelta(minutes=1)
    day = order(
        desk, "buy", 10, time_in_force="day", expires_at=close, order_type="limit", limit_price=D(101)
    )
    assert tick(market) == 1 and state(day) == ("expired", 4)
    assert kinds(desk, day)[-2:] == ["trade.partially_filled", "trade.expired"]
    assert (desk.held("AAA"), desk.refresh().portfolio.reserved_cash) == (4, 0)


def test_limit_orders_rest_while_the_market_is_closed(desk: Desk, market: Market) -> None:
    trade = order(desk, "buy", 10, order_type="limit", limit_price=D(101))
    market.is_open = False
    assert tick(market) == 1 and state(trade) == ("accepted", 0)
    assert tick(market) == 0
    market.is_open = True
    assert tick(market) == 1 and state(trade) == ("filled", 10)


@pytest.mark.parametrize(("mode", "ends"), [("halt", "cancelled"), ("reduce_only", "filled")])
def test_a_working_order_that_a_halt_forbids_is_cancelled_when_it_would_be_filled(
    desk: Desk, market: Market, mode: str, ends: str
) -> None:
    holding(desk, 10)
    sale = order(desk, "sell", 10, order_type="limit", limit_price=D(105))
    tick(market)
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), mode=mode, reason="drill", actor=desk.owner)
    tick(market, AAA=106.0)
    assert state(sale)[0] == ends
    assert desk.portfolio.positions.get().reserved_quantity == 0


def test_a_split_cancels_what_rests_in_old_units_far_from_the_market_too(desk: Desk, market: Market) -> None:
    holding(desk, 10)
    far = order(desk, "sell", 10, order_type="limit", limit_price=D(500))
    tick(market)
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + timedelta(minutes=1),
        new_units=2, old_units=1, cash_in_lieu_price=D(50),
    )  # fmt: skip
    record(item, actor=None)
    assert tick(market, AAA=50.0) == 1
    assert state(far) == ("cancelled", 0) and "split" in fresh(far).status_reason


def test_a_working_order_outlives_the_session_that_made_it(desk: Desk, market: Market) -> None:
    """Who stops a session cancels its orders; the market does not."""
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    (trade,) = desk.trades()
    AutoTrade.objects.filter(pk=trade.pk).update(
        order_type="limit", limit_price=D(95), time_in_force="gtc", expires_at=None
    )
    tick(market)
    type(desk.session).objects.filter(pk=desk.session.pk).update(status="paused")
    assert tick(market, AAA=94.0) == 1 and state(trade)[0] == "filled"


# Batches


def test_a_visit_takes_every_due_trade_once_however_small_its_batches(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    desks = [Desk.open(market, owner=f"owner-{n}") for n in range(3)]
    for desk in desks:
        for number in range(4):
            order(desk, "buy", 10 + number)
    sizes = []
    genuine = trade_execution._execute_in
    monkeypatch.setattr(trade_execution, "BATCH_TRADES_MAX", 3)
    monkeypatch.setattr(
        trade_execution, "_execute_in", lambda books, batch: sizes.append(len(batch)) or genuine(books, batch)
    )
    assert execute_pending() == 12
    assert sizes == [3, 3, 3, 3]
    assert set(AutoTrade.objects.values_list("status", flat=True)) == {"filled"}
    assert book_differences() == []


def test_an_idle_tick_locks_no_portfolio_of_a_resting_order(desk: Desk, market: Market) -> None:
    for number in range(5):
        order(desk, "buy", 1 + number, order_type="limit", limit_price=D(50))
    assert tick(market) == 5
    market.tick()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert execute_pending() == 0
    assert not [query for query in queries.captured_queries if "FOR NO KEY UPDATE" in query["sql"]
                and "portfolios_portfolio" in query["sql"].split("FROM")[1][:30]]  # fmt: skip
    assert len(queries) <= 8


def test_orders_that_the_market_never_took_in_are_not_its_own(desk: Desk, market: Market) -> None:
    trade = order(desk)
    AutoTrade.objects.filter(pk=trade.pk).update(status="accepted")
    assert tick(market) == 0 and state(trade) == ("accepted", 0)


def test_whatever_the_market_would_do_the_look_finds(desk: Desk, market: Market) -> None:
    """Orders of every type and side around the market: the database's look is as generous as the pure one."""
    rng = random.Random(5)
    prices = [D(number) for number in range(90, 111)]
    for number in range(40):
        order_type = rng.choice(["limit", "stop", "stop_limit", "trailing_stop", "market"])
        terms = {
            "limit_price": rng.choice(prices) if "limit" in order_type else None,
            "stop_price": rng.choice(prices) if order_type in ("stop", "stop_limit") else None,
            "trail_percentage": D(rng.randint(1, 9)) if order_type == "trailing_stop" else None,
            "best_price": rng.choice([None, *prices]) if order_type == "trailing_stop" else None,
            "triggered_at": rng.choice([None, None, market.as_of]) if "stop" in order_type else None,
            "expires_at": rng.choice([None, market.as_of + timedelta(minutes=rng.randint(1, 9))]),
        }
        order(desk, "buy", 1 + number, order_type=order_type, **terms)
    for trade in AutoTrade.objects.filter(status="pending"):
        side = rng.choice(["buy", "sell"])
        AutoTrade.objects.filter(pk=trade.pk).update(status="accepted", matched_slot=1, trade_type=side)
    found = 0
    for price in [100, *rng.sample(range(92, 109), 7)]:
        market.is_open = rng.random() < 0.8
        market.tick(AAA=float(price))
        snapshot = snapshots.current()
        assert snapshot is not None
        working = AutoTrade.objects.filter(status="accepted").select_related("account", "instrument")
        acts = {trade.id for trade in working if does_something(trade, match(trade, snapshot=snapshot))}
        due = {item.id for item in Looked.at(snapshot).next(after=None, count_max=1000)}
        assert acts <= due and len(due) < 40
        found += len(acts)
    assert found > 40


def does_something(trade: AutoTrade, progress: Progress) -> bool:
    """More than to remember a better price, which is done without a batch."""
    begins = (
        trade.order_type == "trailing_stop" and trade.best_price is None and progress.best_price is not None
    )
    newly = trade.triggered_at is None and progress.triggered_at is not None
    return progress.fill is not None or progress.expired or newly or begins
