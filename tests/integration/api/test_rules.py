"""Rules over REST: the specification's own, versions, and refusals that say where and what instead."""

import json

import pytest
from jsonschema import Draft202012Validator

from rules.examples import EXAMPLES
from rules.models import RuleVersion, TradingRule
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def create(world: World, rule: dict, **beside):
    body = {**rule, "portfolio_id": str(world.desk.portfolio.id), **beside}
    return world.as_("alice").post("/api/auto-trading/rules", body, format="json")


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_specifications_rules_go_in_as_they_are_written(world: World, text: str) -> None:
    written = json.loads(text)
    rule = create(world, written).json()
    assert (rule["rule_type"], "type" in rule) == (written["type"], False)
    assert (rule["name"], rule["conditions"]) == (written["name"], written["conditions"])
    assert (rule["is_active"], rule["version"], rule["created_by"]) == (True, 1, "alice")


def test_a_rule_can_be_made_without_being_in_force(world: World) -> None:
    assert create(world, STOP_LOSS, is_active=False).json()["is_active"] is False


def test_a_fault_comes_with_its_path_and_a_suggestion(world: World) -> None:
    rule = {
        **STRONG_BUY_ENTRY,
        "conditions": [{"field": "confidence", "operator": "greater_than", "value": 0.8}],
    }
    answer = create(world, rule)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    (fault,) = answer.json()["errors"]
    assert fault["path"] == "conditions[0].field"
    assert "confidence_score" in fault["suggestion"]


@pytest.mark.parametrize("body", [[], "rule", {"portfolio_id": "x"}, {}])
def test_what_is_no_rule_at_all_is_refused(world: World, body: object) -> None:
    answer = world.as_("alice").post("/api/auto-trading/rules", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_a_change_makes_a_version_and_the_same_again_none(world: World) -> None:
    path = f"/api/auto-trading/rules/{world.rule.id}"
    alice = world.as_("alice")
    changed = {**STRONG_BUY_ENTRY, "priority": 7}
    assert [alice.put(path, changed, format="json").json()["version"] for _ in range(2)] == [2, 2]
    assert RuleVersion.objects.filter(rule=world.rule).count() == 2


def test_is_active_is_not_changed_in_passing(world: World) -> None:
    """PUT says what the rule says; switching is a deed of its own, so a key that does nothing is refused."""
    path = f"/api/auto-trading/rules/{world.rule.id}"
    answer = world.as_("alice").put(path, {**STRONG_BUY_ENTRY, "is_active": False}, format="json")
    assert answer.status_code == 400 and "is_active" in answer.json()["errors"][0]["message"]


def test_a_deleted_rule_leaves_the_list_and_keeps_its_story(world: World) -> None:
    alice = world.as_("alice")
    for _ in range(2):
        assert alice.delete(f"/api/auto-trading/rules/{world.rule.id}").status_code == 204
    listed = alice.get(f"/api/auto-trading/rules/{world.desk.portfolio.id}").json()["results"]
    assert str(world.rule.id) not in {rule["id"] for rule in listed}
    details = alice.get(f"/api/auto-trading/rules/{world.rule.id}/details").json()
    assert details["archived_at"].endswith("Z") and details["is_active"] is False
    assert alice.put(f"/api/auto-trading/rules/{world.rule.id}", STOP_LOSS, format="json").status_code == 409


def test_the_list_filters_and_goes_page_by_page(world: World) -> None:
    for priority in (3, 5, 5, 9):
        assert create(world, {**STOP_LOSS, "priority": priority}, is_active=False).status_code == 201
    alice, path = world.as_("alice"), f"/api/auto-trading/rules/{world.desk.portfolio.id}"
    seen, following = [], f"{path}?active=false&rule_type=exit&page_size=2"
    while following is not None:
        answer = alice.get(following).json()
        seen += [rule["priority"] for rule in answer["results"]]
        following = answer["next"]
    assert seen == [9, 5, 5, 3]


def test_an_unknown_choice_in_a_filter_is_refused(world: World) -> None:
    path = f"/api/auto-trading/rules/{world.desk.portfolio.id}?rule_type=exti"
    answer = world.as_("alice").get(path)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "rule_type")


@pytest.mark.usefixtures("without_limit_orders")
def test_validate_says_what_it_would_store_and_stores_nothing(world: World) -> None:
    before = TradingRule.objects.count()
    answer = world.as_("victor").post("/api/auto-trading/rules/validate", STOP_LOSS, format="json").json()
    assert (answer["valid"], answer["errors"], answer["rule"]["rule_type"]) == (True, [], "exit")
    assert answer["not_carried_out"] == []
    limited = {"type": "sell", "sizing_method": "full_position", "order_type": "limit", "limit_offset_bps": 5}
    later = {**STOP_LOSS, "actions": [limited]}
    answer = world.as_("victor").post("/api/auto-trading/rules/validate", later, format="json").json()
    assert answer["valid"] is True
    assert [fault["path"] for fault in answer["not_carried_out"]] == ["actions[0].order_type"]
    faulty = {**STOP_LOSS, "actions": [{"type": "sel", "sizing_method": "full_position"}]}
    answer = world.as_("victor").post("/api/auto-trading/rules/validate", faulty, format="json").json()
    assert (answer["valid"], answer["rule"]) == (False, None)
    assert answer["errors"][0]["path"] == "actions[0].type"
    assert "sell" in answer["errors"][0]["suggestion"]
    assert TradingRule.objects.count() == before


SCHEDULED = {
    **STOP_LOSS,
    "schedule": {"weekdays": ["MONDAY"], "from": "22:00", "to": "04:00", "minutes_after_open": 0},
    "cooldown": {"minutes": 60, "per": "rule"},
}


def test_schedule_and_cooldown_are_kept_as_they_were_written(world: World) -> None:
    created = create(world, SCHEDULED, is_active=False).json()
    details = world.as_("alice").get(f"/api/auto-trading/rules/{created['id']}/details").json()
    for shown in (created, details):
        assert {key: shown[key] for key in ("schedule", "cooldown")} == {
            key: SCHEDULED[key] for key in ("schedule", "cooldown")
        }
    alice, path = world.as_("alice"), f"/api/auto-trading/rules/{created['id']}"
    changed = alice.put(path, {**SCHEDULED, "schedule": None}, format="json").json()
    assert (changed["schedule"], changed["cooldown"], changed["version"]) == (None, SCHEDULED["cooldown"], 2)


def test_a_fault_in_a_schedule_is_told_with_its_path(world: World) -> None:
    answer = create(world, {**SCHEDULED, "schedule": {"weekdays": ["SUNDY"]}, "cooldown": {"minutes": 0}})
    assert answer.status_code == 400
    paths = [fault["path"] for fault in answer.json()["errors"]]
    assert paths == ["schedule.weekdays[0]", "cooldown.minutes"]


def test_each_rule_is_told_in_plain_english(world: World) -> None:
    """In the list, by itself, in the version that a trade was decided on, and before it is stored."""
    says = "When a position is down more than 5 %, sell all of it."
    alice = world.as_("alice")
    created = create(world, STOP_LOSS, is_active=False).json()
    listed = alice.get(f"/api/auto-trading/rules/{world.desk.portfolio.id}").json()["results"]
    assert says in {rule["description"] for rule in listed}
    assert alice.get(f"/api/auto-trading/rules/{created['id']}/details").json()["description"] == says
    checked = alice.post("/api/auto-trading/rules/validate", STOP_LOSS, format="json").json()
    assert checked["description"] == says
    faulty = alice.post(
        "/api/auto-trading/rules/validate", {**STOP_LOSS, "actions": []}, format="json"
    ).json()
    assert faulty["description"] is None
    trade = alice.get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
    assert trade["rule_version"]["description"].startswith(
        "When the AI says STRONG_BUY with confidence above 80 %"
    )


def test_the_schema_is_there_for_whoever_is_logged_in(world: World) -> None:
    schema = world.as_("charlie").get("/api/auto-trading/rules/schema").json()
    judge = Draft202012Validator(schema)
    assert all(judge.is_valid(json.loads(text)) for text in EXAMPLES)
    assert not judge.is_valid({**STOP_LOSS, "conditions": [{"field": "rsy"}]})


def test_the_catalogue_tells_fields_and_the_operators_that_suit(world: World) -> None:
    fields = {field["name"]: field for field in world.as_("victor").get("/api/rule-fields").json()}
    assert fields["confidence_score"]["maximum"] == 1
    assert fields["ai_recommendation"]["choices"][-1] == "STRONG_BUY"
    assert "between" in fields["rsi"]["operators"]
    assert "Wilder" in fields["rsi"]["reference"]
