"""A position's stop loss, target and trailing stop: attached by the fill, fired by the tick, told by the journal."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from foundation.errors import Conflict, InvalidInput, NotFound
from journal.models import Alert, Entry
from market.services import snapshots
from portfolios.models import Position, PositionMark
from sessions.services.sessions import pause_trading_session, stop_trading_session
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import risk_officer
from tests.integration.trading.test_races import in_parallel
from trading.models import AutoTrade, Protection
from trading.services import protecting
from trading.services.emergency_stop import arm, release
from trading.services.protection_watch import watch_protections
from trading.services.protections import remove_protection, set_protection
from trading.services.stopping import finish_stopping
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
# A buy at 100 pays the ask of 100.10 and one basis point of slippage, rounded up to the tick.
COST = D("100.12")


def buying(**percentages: float) -> dict[str, Any]:
    (action,) = STRONG_BUY_ENTRY["actions"]
    return {**STRONG_BUY_ENTRY, "actions": [{**action, **percentages}]}


def protected(market: Market, **percentages: float) -> Desk:
    """50 shares of AAA, bought at 100 by a rule that protects them so; nobody advises to buy any more."""
    market.tick()
    desk = Desk.open(market, rules=(buying(**percentages),))
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    assert desk.held("AAA") == 50
    return desk


def tick(desk: Desk, **prices: float) -> int:
    """The market moves and the watcher looks; no session is evaluated. How many trades it made."""
    desk.market.tick(**prices)
    return watch_protections()


def sells(desk: Desk) -> list[AutoTrade]:
    return [trade for trade in desk.trades() if trade.trade_type == "sell"]


def told(desk: Desk, kind: str) -> list[Entry]:
    return list(Entry.objects.filter(stream_id=desk.portfolio.id, kind=kind).order_by("seq"))


def peak(desk: Desk) -> Decimal:
    return PositionMark.objects.get(position__portfolio=desk.portfolio).peak_price


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


def stopped(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1


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
    market.price_age_seconds = 119
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


def test_a_refusal_is_told_once_tried_again_and_fires_later(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    market.is_open = False
    for _ in range(4):
        assert tick(desk, AAA=90.0) == 0
    refused = desk.decisions()[-1]
    assert (refused.outcome, refused.code, refused.repeated) == ("refused", "MARKET_CLOSED", 3)
    assert len(desk.decisions()) == 2 and len(told(desk, "protection.refused")) == 1
    assert Alert.objects.get(kind="protection.refused").severity == "critical"
    assert Protection.objects.get().refusal == "MARKET_CLOSED"
    market.is_open = True
    assert tick(desk, AAA=90.0) == 1
    assert Protection.objects.get().refusal == ""
    execute_pending()
    assert desk.held("AAA") == 0


def test_a_refusal_is_told_again_when_the_price_comes_back_to_it(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    market.is_open = False
    for price in (90.0, 100.0, 90.0):
        tick(desk, AAA=price)
    assert [row.repeated for row in desk.decisions() if row.outcome == "refused"] == [0, 0]
    assert Alert.objects.filter(kind="protection.refused").count() == 2


def test_refusals_of_two_portfolios_without_sessions_are_told_apart(market: Market) -> None:
    desks = [protected(market, stop_loss_percentage=5)]
    desks.append(Desk.open(market, owner="dave", rules=(buying(stop_loss_percentage=5),)))
    market.advise("AAA")
    desks[1].step()
    for desk in desks:
        stopped(desk)
    market.is_open = False
    tick(desks[0], AAA=90.0)
    tick(desks[0], AAA=90.0)
    for desk in desks:
        (refused,) = [row for row in desk.decisions() if row.outcome == "refused"]
        assert (refused.code, refused.repeated) == ("MARKET_CLOSED", 1)


def test_a_halt_keeps_it_from_selling_and_reduce_only_does_not(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    halt = arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="look", actor=desk.owner)
    assert tick(desk, AAA=90.0) == 0
    assert (desk.decisions()[-1].code, Protection.objects.get().refusal) == ("HALTED", "HALTED")
    release(halt_id=halt.id, actor=risk_officer(desk))
    arm(scope="symbol", scope_id="AAA", mode="reduce_only", reason="look", actor=None)
    assert tick(desk, AAA=90.0) == 1
    execute_pending()
    assert desk.held("AAA") == 0


def test_what_another_order_has_reserved_is_left_to_it(market: Market) -> None:
    desk = protected(market, stop_loss_percentage=5)
    desk.add_rule(
        name="Sell some", rule_type="exit", conditions=[{"field": "price", "operator": "less_than", "value": 95}],
        actions=[{"type": "sell", "sizing_method": "fixed", "size_unit": "shares", "size_value": 20}],
    )  # fmt: skip
    market.tick(AAA=90.0)
    desk.evaluate()
    assert watch_protections() == 1
    assert [(trade.origin, trade.quantity) for trade in sells(desk)] == [("rule", 20), ("protection", 30)]
    execute_pending()
    assert desk.held("AAA") == 0 and not Protection.objects.exists()
    assert book_differences() == []


def test_a_portfolio_that_fails_keeps_no_other_from_its_stop(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    desks = [
        Desk.open(market, owner=f"owner-{number}", rules=(buying(stop_loss_percentage=5),))
        for number in range(3)
    ]
    market.advise("AAA")
    desks[0].step()
    bad = desks[1].portfolio.id

    def broken(row: Protection, *args: Any) -> Any:
        if row.portfolio_id == bad:
            raise ZeroDivisionError
        return whole(row, *args)

    whole = protecting._threshold
    monkeypatch.setattr(protecting, "_threshold", broken)
    assert tick(desks[0], AAA=90.0) == 2
    assert tick(desks[0], AAA=90.0) == 0
    assert [len(sells(desk)) for desk in desks] == [1, 0, 1]
    assert [row.stream_id for row in Entry.objects.filter(kind="protection.failing")] == [bad]


def test_a_worker_that_may_not_trade_does_nothing(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = protected(market, stop_loss_percentage=5)
    monkeypatch.setattr("trading.services.protection_watch.may_trade", lambda: False)
    assert tick(desk, AAA=90.0) == 0 and sells(desk) == []


def test_the_cost_does_not_grow_with_the_positions(
    market: Market, django_assert_max_num_queries: Any
) -> None:
    market.tick()
    desks = [
        Desk.open(market, owner=f"owner-{number}", rules=(buying(stop_loss_percentage=5),))
        for number in range(8)
    ]
    market.advise("AAA")
    desks[0].step()
    market.tick(AAA=99.0)
    with django_assert_max_num_queries(4):  # snapshot, code version and clock, and all that is watched in one
        assert watch_protections() == 0
    market.tick(AAA=90.0)
    with django_assert_max_num_queries(50):
        assert watch_protections() == 8


# --- people ----------------------------------------------------------------------------------------


def test_people_set_it_as_a_whole_and_remove_it(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    where = {"portfolio_id": desk.portfolio.id, "symbol": "AAA", "actor": desk.owner}
    set_protection(**where, stop_loss_percentage=D(5), take_profit_percentage=D(10))
    row = set_protection(**where, trailing_stop_percentage=D(8))
    row.refresh_from_db()
    assert (row.stop_loss_percentage, row.take_profit_percentage, row.trailing_stop_percentage) == (
        None,
        None,
        8,
    )
    assert (row.actor, row.trade, row.rule_version) == ("user:alice", None, None)
    assert tick(desk, AAA=92.01) == 0
    remove_protection(**where)
    assert tick(desk, AAA=50.0) == 0
    with pytest.raises(NotFound, match="no protection"):
        remove_protection(**where)
    assert [entry.kind for entry in Entry.objects.filter(kind__startswith="protection.").order_by("seq")] == [
        "protection.set", "protection.set", "protection.removed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ""),
        ({"stop_loss_percentage": D(0)}, "stop_loss_percentage"),
        ({"stop_loss_percentage": D(100)}, "stop_loss_percentage"),
        ({"trailing_stop_percentage": D(100)}, "trailing_stop_percentage"),
        ({"take_profit_percentage": D("1000.01")}, "take_profit_percentage"),
        ({"take_profit_percentage": D("NaN")}, "take_profit_percentage"),
        ({"stop_loss_percentage": D(5), "take_profit_percentage": D(-5)}, "take_profit_percentage"),
    ],
)
def test_what_protects_nothing_is_refused(desk: Desk, given: dict[str, Decimal], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        set_protection(portfolio_id=desk.portfolio.id, symbol="AAA", actor=desk.owner, **given)
    assert [error["path"] for error in caught.value.errors or []] == [path]
    assert not Protection.objects.exists()


def test_only_what_is_held_is_protected(desk: Desk) -> None:
    where = {"portfolio_id": desk.portfolio.id, "stop_loss_percentage": D(5), "actor": desk.owner}
    with pytest.raises(Conflict, match="Nothing is held of AAA"):
        set_protection(symbol="AAA", **where)
    with pytest.raises(NotFound, match="no instrument XYZ"):
        set_protection(symbol="XYZ", **where)


def test_what_its_position_left_behind_is_removed(market: Market) -> None:
    """A position that was closed by anything but a fill, as a correction of the books may."""
    desk = protected(market, stop_loss_percentage=5)
    Protection.objects.update(opened_at=market.as_of.replace(year=2009))
    assert tick(desk, AAA=50.0) == 0
    assert not Protection.objects.exists()
    assert len(told(desk, "protection.removed")) == 1
