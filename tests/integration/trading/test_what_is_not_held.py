"""“Buy if I hold none”: of what is not held `position_quantity` is 0, and unknown while the first shares are bought."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from market.services.corporate_actions import NewCorporateAction, record
from portfolios.services.corporate_actions import book_due_actions
from sessions.models import EvaluationRun
from tests.harness.trading import Desk, Market
from trading.models import AutoTrade
from trading.services.manual import place_trade
from trading.services.previewing import preview_rule
from trading.services.trade_execution import execute_pending
from trading.services.why_not import Question, why_not

pytestmark = pytest.mark.integration


def quantity(operator: str, value: float) -> list[dict[str, Any]]:
    return [{"field": "position_quantity", "operator": operator, "value": value}]


BUY_IF_NONE = {
    "name": "First shares",
    "rule_type": "entry",
    "conditions": quantity("equals", 0),
    "actions": [{"type": "buy", "sizing_method": "fixed", "size_value": 10, "size_unit": "shares"}],
}
SELL_RESTS = {
    "name": "Small rests",
    "rule_type": "exit",
    "conditions": quantity("less_than", 5),
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}
ONLY_AAA = {"universe": {"symbols": ["AAA"]}}


def evaluated(desk: Desk) -> int:
    """A tick; of how many symbols a rule was true."""
    desk.market.tick()
    desk.evaluate()
    return EvaluationRun.objects.latest("id").triggered


def order(desk: Desk, side: str, units: int, symbol: str = "AAA") -> AutoTrade:
    return place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=Decimal(units), actor=desk.owner
    )


def of_rules(desk: Desk) -> list[tuple[str, str | None]]:
    """What was decided of rules: symbol and outcome."""
    rows = desk.portfolio.decisions.filter(rule__isnull=False).order_by("instrument__symbol", "outcome")
    return list(rows.values_list("instrument__symbol", "outcome"))


def known_quantity(desk: Desk) -> Any:
    """What a replay of the last evaluation says of AAA."""
    run = EvaluationRun.objects.latest("id")
    rule = desk.portfolio.trading_rules.get(name="First shares")
    return why_not(Question(desk.portfolio, slot=run.slot, symbol="AAA", rule=rule)).facts[
        "position_quantity"
    ]


def test_it_buys_once_and_again_when_all_is_sold(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config=ONLY_AAA, rules=(BUY_IF_NONE,))
    assert (evaluated(desk), known_quantity(desk)) == (1, 0)
    assert [(trade.trade_type, trade.quantity) for trade in desk.trades()] == [("buy", 10)]
    assert (evaluated(desk), known_quantity(desk)) == (0, None), "its buy is under way"
    execute_pending()
    assert desk.held("AAA") == 10
    assert (evaluated(desk), known_quantity(desk)) == (0, 10)
    order(desk, "sell", 10)
    assert evaluated(desk) == 0, "it is held until it is sold"
    execute_pending()
    assert desk.held("AAA") == 0
    assert (evaluated(desk), known_quantity(desk)) == (1, 0)
    assert [trade.trade_type for trade in desk.trades()] == ["buy", "sell", "buy"]


def test_two_such_rules_and_a_person_buy_the_first_shares_once(market: Market) -> None:
    market.tick()
    desk = Desk.open(
        market, config=ONLY_AAA, rules=(BUY_IF_NONE, {**BUY_IF_NONE, "name": "First shares as well"})
    )
    order(desk, "buy", 3)
    assert evaluated(desk) == 0
    execute_pending()
    order(desk, "sell", 3)
    execute_pending()
    assert evaluated(desk) == 2
    assert of_rules(desk) == [("AAA", "outranked"), ("AAA", "traded")]
    assert evaluated(desk) == 0
    execute_pending()
    assert (desk.held("AAA"), evaluated(desk)) == (10, 0)


def test_an_exit_stays_with_what_is_held(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(SELL_RESTS,))
    order(desk, "buy", 3, "AAA")
    order(desk, "buy", 30, "BBB")
    execute_pending()
    assert evaluated(desk) == 1
    execute_pending()
    assert (desk.held("AAA"), desk.held("BBB")) == (0, 30)
    assert evaluated(desk) == 0
    assert of_rules(desk) == [("AAA", "traded")]


def test_a_preview_says_what_an_evaluation_does(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(BUY_IF_NONE,))
    rule = desk.portfolio.trading_rules.get()
    order(desk, "buy", 3, "AAA")
    execute_pending()
    order(desk, "buy", 3, "BBB")
    market.tick()
    told = preview_rule(rule_id=rule.id)
    assert told.true_for == 1
    sentences = {row.symbol: row.explanation["sentence"] for row in told.symbols}
    assert sentences == {
        "AAA": "Not true for AAA: position quantity is 3, not equal to 0.",
        "BBB": "Unknown for BBB: position quantity is unknown.",
        "CCC": "True for CCC: position quantity is 0, equal to 0.",
    }
    desk.evaluate()
    assert of_rules(desk) == [("CCC", "traded")]


def test_a_split_on_its_way_does_not_make_it_none(market: Market) -> None:
    """The portfolio's worth is unknown meanwhile, and the quantity counts in old units; but some is held."""
    market.tick()
    desk = Desk.open(market, config=ONLY_AAA, rules=(BUY_IF_NONE,))
    order(desk, "buy", 10)
    execute_pending()
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=market.as_of + timedelta(seconds=30), new_units=2,
        old_units=1, cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    record(item, actor=None)
    market.prices["AAA"] = market.closes["AAA"] = 50.0
    assert (evaluated(desk), known_quantity(desk)) == (0, 10)
    book_due_actions()
    assert (evaluated(desk), known_quantity(desk)) == (0, 20)
