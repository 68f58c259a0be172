"""What would it do, and why did it not, over REST: shapes, faults, and what must not grow."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portfolios.services.portfolios import deposit
from rules.models import TradingRule
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def replay_path(world: World, **query: Any) -> str:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/api/auto-trading/decisions/{world.desk.portfolio.id}/replay?{text}"


def stop_loss(world: World) -> TradingRule:
    return TradingRule.objects.get(portfolio=world.desk.portfolio, name="Stop Loss Protection")


def preview(world: World, body: Any, who: str = "alice") -> Any:
    return world.as_(who).post(f"/api/auto-trading/rules/{world.rule.id}/preview", body, format="json")


def test_a_preview_tells_the_order_with_money_as_text(world: World) -> None:
    world.market.advise("CCC")
    world.market.tick()
    told = preview(world, {"symbols": ["CCC", "BBB"]}, "victor").json()
    assert (told["carried_out"], told["obstacles"], told["version"]) == (True, [], 1)
    assert [row["symbol"] for row in told["symbols"]] == ["CCC", "BBB"]
    (would,) = told["symbols"][0]["would"]
    assert (would["outcome"], would["order"]["trade_type"], would["order"]["trigger_price"]) == (
        "traded", "buy", "100.00000000"
    )  # fmt: skip
    assert isinstance(would["order"]["quantity"], str) and would["sizing"]["method"] == "percentage"
    assert told["as_of"].endswith("Z")
    assert world.desk.trades() == [world.filled, world.pending]


def test_content_is_shown_instead_of_what_is_stored(world: World) -> None:
    told = preview(world, {"rule": {**STRONG_BUY_ENTRY, "name": "Another"}}).json()
    assert (told["version"], [row["code"] for row in told["obstacles"]]) == (None, ["not_stored"])
    assert told["carried_out"] is False and len(told["symbols"]) == 3


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"symbols": ["AAAA"]}, "symbols[0]"),
        ({"symbols": ["AAA"] * 51}, "symbols"),
        ({"rule": {"name": "x"}}, "rule"),
        ({"rule": {**STOP_LOSS, "conditions": [{"field": "pric"}]}}, "rule.conditions[0]"),
        ({"rule": []}, "rule"),
        ({"rule": STOP_LOSS, "version": 1}, "version"),
        ({"symbol": "AAA"}, "symbol"),
    ],
)
def test_a_faulty_preview_names_the_place(world: World, body: Any, path: str) -> None:
    answer = preview(world, body)
    assert answer.status_code == 400, answer.content
    assert path in {error["path"] for error in answer.json()["errors"]}


def test_the_past_is_told_as_it_was_and_another_threshold_changes_the_answer(world: World) -> None:
    slot = world.market.tick(AAA=96.0)
    world.desk.evaluate()
    alice = world.as_("alice")
    path = replay_path(world, rule=stop_loss(world).id, symbol="AAA", slot=slot)
    before = alice.get(path).json()
    assert (before["outcome"], [row["code"] for row in before["reasons"]]) == (False, ["not_true"])
    assert (before["evaluated"], before["session_status"], before["rule"]["version"]) == (True, "active", 1)
    assert before["facts"]["position_quantity"] == float(world.filled.quantity)
    deposit(portfolio_id=world.desk.portfolio.id, amount=Decimal(50_000), actor=world.users["alice"])
    world.desk.step(AAA=80.0)
    world.desk.step(AAA=81.0)
    assert alice.get(path).json() == before
    by_time = replay_path(world, rule=stop_loss(world).id, symbol="AAA", at=before["as_of"])
    assert alice.get(by_time).json() == before
    content = {**STOP_LOSS, "conditions": [{**STOP_LOSS["conditions"][0], "value": -3}]}
    asked = {"slot": slot, "symbol": "AAA", "rule": content}
    other = alice.post(replay_path(world), asked, format="json").json()
    assert (other["outcome"], other["facts"], other["reasons"]) == (True, before["facts"], [])
    assert other["rule"]["id"] is None


@pytest.mark.parametrize(
    ("query", "status", "where"),
    [
        ({"symbol": "AAA", "slot": 2}, 400, "rule"),
        ({"rule": "{rule}", "symbol": "AAA"}, 400, "at"),
        ({"rule": "{rule}", "symbol": "AAA", "slot": 2, "at": "2010-03-01T14:31:00Z"}, 400, "at"),
        ({"rule": "{rule}", "symbol": "AAA", "at": "yesterday"}, 400, "at"),
        ({"rule": "{rule}", "symbol": "AAAB", "slot": 2}, 400, "symbol"),
        ({"rule": "{rule}", "slot": 2}, 400, "symbol"),
        ({"rule": "{rule}", "symbol": "AAA", "slot": 10**19}, 400, "slot"),
        ({"rule": "{rule}", "symbol": "AAA", "slot": 2, "sort": "x"}, 400, "sort"),
        ({"rule": "{rule}", "symbol": "AAA", "slot": 99}, 404, "snapshot_not_kept"),
        ({"rule": "{rule}", "symbol": "AAA", "at": "1999-01-01T00:00:00Z"}, 404, "snapshot_not_kept"),
        ({"rule": "00000000-0000-4000-8000-000000000007", "symbol": "AAA", "slot": 2}, 404, "not_found"),
    ],
)
def test_a_faulty_question_names_the_place(world: World, query: Any, status: int, where: str) -> None:
    asked = {name: str(value).format(rule=world.rule.id) for name, value in query.items()}
    answer = world.as_("alice").get(replay_path(world, **asked))
    assert answer.status_code == status, answer.content
    found = {error["path"] for error in answer.json().get("errors", [])} | {answer.json()["code"]}
    assert where in found


def test_a_rule_of_another_portfolio_is_not_asked_about_here(world: World) -> None:
    path = f"/api/auto-trading/decisions/{world.idle.id}/replay?rule={world.rule.id}&symbol=AAA&slot=2"
    assert world.as_("alice").get(path).status_code == 404


def test_queries_do_not_grow_with_what_is_owned_and_what_has_happened(world: World) -> None:
    slot = world.market.tick(AAA=96.0)
    world.desk.evaluate()
    client, path = world.as_("alice"), replay_path(world, rule=stop_loss(world).id, symbol="AAA", slot=slot)
    body = {"symbols": ["AAA", "BBB", "CCC"], "rule": {**STRONG_BUY_ENTRY, "priority": 99}}
    ask = [lambda: client.get(path), lambda: preview(world, body)]

    def measure() -> list[int]:
        counts = []
        for question in ask:
            question()
            with CaptureQueriesContext(connection) as queries:
                assert question().status_code == 200
            counts.append(len(queries))
        return counts

    before = measure()
    for symbol in ("AAA", "BBB", "CCC"):
        world.market.advise(symbol)
    for number in range(3):
        world.desk.add_rule(**{**STOP_LOSS, "rule_type": "exit", "name": f"Rule {number}"})
        world.desk.step()
    assert measure()[0] == before[0]
    assert measure()[1] <= before[1] + 2  # what only a rule that trades asks
    assert before[0] <= 30
