"""When a protection cannot sell: it is told once, tried again, and keeps nobody else from selling."""

from typing import Any

import pytest

from journal.models import Alert, Entry
from tests.harness.trading import Desk, Market
from tests.integration.trading.protecting import buying, protected, sells, stopped, tick, told
from tests.integration.trading.steps import risk_officer
from trading.models import Protection
from trading.services import protecting
from trading.services.emergency_stop import arm, release
from trading.services.protection_watch import watch_protections
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration


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
    with django_assert_max_num_queries(
        5
    ):  # snapshot, code version, clock, splits on their way, and all that is watched
        assert watch_protections() == 0
    market.tick(AAA=90.0)
    with django_assert_max_num_queries(51):
        assert watch_protections() == 8
