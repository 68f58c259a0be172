"""What came to be true of a portfolio while its evaluation waited for its lock keeps buys from going out."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from portfolios.services.portfolios import withdraw
from rules.services.rules import activate_rule, deactivate_rule
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, outcomes_of
from trading.models import Halt
from trading.services import auto_trading
from trading.services.manual import place_trade

pytestmark = pytest.mark.integration
ENTRY = STRONG_BUY_ENTRY["name"]
BLOCK, HALT = {"type": "block_entries"}, {"type": "halt"}


def guard(field: str, operator: str, value: Any, action: dict[str, Any]) -> dict[str, Any]:
    condition = {"field": field, "operator": operator, "value": value}
    return {"name": "Guard", "rule_type": "risk", "conditions": [condition], "actions": [action]}


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Somebody else commits it after the evaluation has looked and before it has the portfolio's lock."""
    really, failed = auto_trading.open_books, []

    def let(act: Callable[[], Any]) -> None:
        def alone() -> None:
            try:
                act()
            except Exception as error:
                failed.append(error)
            finally:
                connections.close_all()

        def late(*args: Any, **options: Any) -> Any:
            thread = threading.Thread(target=alone)
            thread.start()
            thread.join(60)
            assert not thread.is_alive() and not failed, failed
            return really(*args, **options)

        monkeypatch.setattr(auto_trading, "open_books", late)

    return let


def advised(market: Market, *rules: dict[str, Any], **more: Any) -> Desk:
    """At its next evaluation it would buy AAA."""
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, *rules), **more)
    market.advise("AAA")
    market.tick()
    return desk


def buy(desk: Desk, symbol: str) -> None:
    place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side="buy", quantity=Decimal(1), actor=desk.owner
    )


def by_rules(desk: Desk) -> list[str]:
    return [trade.symbol for trade in desk.trades() if trade.origin == "rule"]


def test_a_block_counts_what_was_bought_by_hand(market: Market, meanwhile: Any) -> None:
    desk = advised(market, guard("open_positions", "greater_or_equal", 1, BLOCK))
    meanwhile(lambda: buy(desk, "BBB"))
    desk.evaluate()
    assert by_rules(desk) == []
    assert outcomes_of(desk, ENTRY) == [("AAA", "outranked", 0)]
    assert decisions_of(desk, ENTRY)[0].detail == "“Guard” blocks entries"
    assert outcomes_of(desk, "Guard") == [(None, "blocking", 0)]


def test_a_block_counts_what_was_withdrawn(market: Market, meanwhile: Any) -> None:
    desk = advised(market, guard("portfolio_equity", "less_than", 50_000, BLOCK))
    meanwhile(lambda: withdraw(portfolio_id=desk.portfolio.id, amount=Decimal(60_000), actor=desk.owner))
    desk.evaluate()
    assert by_rules(desk) == []
    assert outcomes_of(desk, "Guard") == [(None, "blocking", 0)]


def test_a_block_counts_that_was_put_in_force(market: Market, meanwhile: Any) -> None:
    desk = advised(market, guard("price", "greater_than", 1, BLOCK))
    rule = desk.portfolio.trading_rules.get(name="Guard")
    deactivate_rule(rule_id=rule.id, actor=desk.owner)
    meanwhile(lambda: activate_rule(rule_id=rule.id, actor=desk.owner))
    desk.evaluate()
    assert by_rules(desk) == []
    assert outcomes_of(desk, "Guard") == [("AAA", "blocking", 0)]


def test_a_stop_counts_what_was_bought_by_hand(market: Market, meanwhile: Any) -> None:
    desk = advised(market, guard("open_positions", "greater_or_equal", 1, HALT))
    meanwhile(lambda: buy(desk, "BBB"))
    desk.evaluate()
    assert by_rules(desk) == []
    assert [(row.outcome, row.code) for row in decisions_of(desk, ENTRY)] == [("refused", "HALTED")]
    assert Halt.objects.filter(scope="portfolio", scope_id=str(desk.portfolio.id)).count() == 1


def test_a_guard_that_is_not_true_under_the_lock_neither_lets_the_buy_go_out(
    market: Market, meanwhile: Any
) -> None:
    desk = advised(market, guard("open_positions", "greater_or_equal", 2, BLOCK))
    meanwhile(lambda: buy(desk, "BBB"))
    desk.evaluate()
    assert by_rules(desk) == ["AAA"]
    assert outcomes_of(desk, "Guard") == []
