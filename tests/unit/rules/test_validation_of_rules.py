"""A rule that makes no sense as a whole is refused, and no document costs more than the limits allow."""

import copy
from decimal import Decimal

import pytest

from rules.core.faults import FAULTS_MAX
from rules.core.language import CONDITIONS_MAX, NESTING_MAX, TESTS_MAX
from rules.core.validation import check_rule

PRICE = {"field": "price", "operator": "greater_than", "value": 100}
GOOD = {
    "name": "Buy",
    "rule_type": "entry",
    "priority": 3,
    "conditions": [PRICE],
    "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 5}],
}
MANY = 10**6
BOMB = 100_000  # levels; Python itself gives up at a hundredth of them


def rule(**changes):
    changed = copy.deepcopy(GOOD) | changes
    return {key: value for key, value in changed.items() if value is not ...}


def faults(raw):
    result = check_rule(raw)
    assert (result.rule is None) == bool(result.errors), "a rule or faults, never both"
    return {fault.path: (fault.message, fault.suggestion or "") for fault in result.errors}


def test_a_good_rule_comes_back_with_every_key():
    assert check_rule(GOOD).rule == GOOD | {"schedule": None, "cooldown": None}


def test_a_schedule_and_a_cooldown_come_back_in_plain_types():
    schedule = {"weekdays": ("MONDAY", "FRIDAY"), "from": "09:45", "minutes_before_close": Decimal(30)}
    stored = check_rule(rule(schedule=schedule, cooldown={"minutes": Decimal("60"), "per": "rule"})).rule
    assert stored["schedule"] == {
        "weekdays": ["MONDAY", "FRIDAY"],
        "from": "09:45",
        "minutes_before_close": 30,
    }
    assert stored["cooldown"] == {"minutes": 60, "per": "rule"}
    assert type(stored["schedule"]["minutes_before_close"]) is int
    assert type(stored["cooldown"]["minutes"]) is int


@pytest.mark.parametrize(
    "raw",
    [
        GOOD,
        rule(schedule=None, cooldown=None),
        rule(schedule={"to": "15:30"}, cooldown={"minutes": 5}),
        rule(priority=-2.0),
    ],
)
def test_the_stored_form_is_valid_again_and_stays_as_it_is(raw):
    stored = check_rule(raw).rule
    assert check_rule(stored).rule == stored


def test_type_is_an_alias_that_is_not_stored():
    aliased = rule(rule_type=..., type="entry")
    assert check_rule(aliased).rule["rule_type"] == "entry"
    assert "type" not in check_rule(aliased).rule
    assert check_rule(rule(type="entry")).rule is not None, "both and equal"
    assert list(faults(rule(type="exit"))) == ["type"], "both and different"


def test_decimals_become_plain_numbers():
    precise = rule(
        conditions=[{**PRICE, "value": Decimal("100.50")}],
        actions=[{"type": "buy", "sizing_method": "percentage", "size_value": Decimal("5")}],
    )
    stored = check_rule(precise).rule
    assert stored["conditions"][0]["value"] == 100.5
    assert type(stored["conditions"][0]["value"]) is float
    assert type(stored["actions"][0]["size_value"]) is int


@pytest.mark.parametrize(
    ("raw", "path", "reason", "cure"),
    [
        ([], "", "is not a rule", "Write {"),
        (None, "", "is not a rule", "Write {"),
        (rule(name=...), "", '"name" is missing', "Add"),
        (rule(conditions=...), "", '"conditions" is missing', "Add"),
        (rule(actions=...), "", '"actions" is missing', "Add"),
        (rule(rule_type=...), "", '"rule_type" is missing', '"exit"'),
        (rule(nmae="x"), "", 'Unknown key "nmae"', 'Did you mean "name"?'),
        (rule(cool_down={}), "", "Unknown key", 'Did you mean "cooldown"?'),
        (rule(nаme="x"), "", "Unknown key", 'Did you mean "name"? In it CYRILLIC SMALL LETTER A (U+0430)'),
        (rule(name=""), "name", "empty", "Write something"),
        (rule(name="  \u00a0"), "name", "empty", "Write something"),
        (rule(name="x" * 256), "name", "256 characters", "at most 255"),
        (rule(name="a\x00b"), "name", "control characters", "Remove"),  # PostgreSQL cannot store it
        (rule(name="a\ud800b"), "name", "control characters", "Remove"),  # nor half a surrogate pair
        (rule(name="evil\u202eelur"), "name", "cannot be seen", "Remove"),  # reads backwards from there on
        (rule(name="Buy\u200b"), "name", "cannot be seen", "Remove"),  # looks like another rule's name
        (rule(name="\u3164"), "name", "empty", "Write something"),  # a letter without a picture
        (rule(name=" \u0301\u200d"), "name", "empty", "Write something"),  # a mark on nothing, a joiner of nothing
        (rule(name=5), "name", "not a text", "quotes"),
        (rule(rule_type="entyr"), "rule_type", "Unknown rule type", 'Did you mean "entry"?'),
        (rule(rule_type="еntrу"), "rule_type", "Unknown rule type", 'Did you mean "entry"? In it CYRILLIC'),
        (rule(rule_type=["entry"]), "rule_type", "Unknown rule type", "entry, exit, risk"),
        (rule(rule_type=...) | {"type": "exits"}, "type", "Unknown rule type", 'Did you mean "exit"?'),
        (rule(priority=True), "priority", "true is not a number", "number"),
        (rule(priority="3"), "priority", "not a number", "Did you mean 3?"),
        (rule(priority=None), "priority", "null is not a number", "number"),
        (rule(priority=1.5), "priority", "1.5 is not a priority", "whole number"),
        (rule(priority=2**31), "priority", "not a priority", "2147483647"),  # the column is int4
        (rule(priority=10**400), "priority", "beyond 10^15", "nearer to 0"),
        (rule(priority=float("nan")), "priority", "finite", "finite"),
        (rule(schedule={}), "schedule", "empty", "weekdays"),
        (rule(schedule={"from": "9"}), "schedule.from", "not a time of day", "HH:MM"),
        (rule(cooldown={"minutes": 0}), "cooldown.minutes", "0 is not", "1 to 525600"),
        (rule(conditions=[]), "conditions", "empty", "at least one"),
        (rule(conditions={}), "conditions", "not a list", "[ … ]"),
        (rule(conditions="price > 5"), "conditions", "not a list", "[ … ]"),
        (rule(actions=[]), "actions", "1 to 8", "Add"),
        (rule(actions="buy"), "actions", "not a list", "[ … ]"),
    ],
)  # fmt: skip
def test_the_rule_as_a_whole(raw, path, reason, cure):
    found = faults(raw)
    assert list(found) == [path]
    assert reason in found[path][0]
    assert cure in found[path][1]


def test_the_longest_name_and_the_extreme_priorities_are_accepted():
    assert check_rule(rule(name="ü" * 255, priority=-(2**31) + 1)).rule is not None
    assert check_rule(rule(priority=2**31 - 1)).rule is not None
    assert check_rule(rule(priority=...)).rule["priority"] == 0, "and none means 0"


def test_all_faults_come_at_once():
    raw = rule(
        name="",
        priority="high",
        conditions=[{**PRICE, "field": "prize"}],
        actions=[{}],
        schedule={"from": "9"},
        cooldown={"minutes": 0},
    )
    assert set(faults(raw)) == {
        "name", "priority", "conditions[0].field", "actions[0]", "schedule.from", "cooldown.minutes",
    }  # fmt: skip


def test_a_fault_is_an_item_of_a_problem_document():
    assert check_rule(rule(actions=[{}])).error_dicts() == [
        {"path": "actions[0]", "message": 'The key "type" is missing.', "suggestion": 'Add "type".'}
    ]


def nested(levels):
    node = PRICE
    for _ in range(levels - 1):
        node = {"not": node}
    return node


def lists_in_lists(levels):
    node = []
    for _ in range(levels):
        node = [node]
    return node


def test_nesting_is_bounded():
    assert check_rule(rule(conditions=[nested(NESTING_MAX)])).rule is not None
    found = faults(rule(conditions=[nested(NESTING_MAX + 1)]))
    assert list(found) == ["conditions[0]" + ".not" * NESTING_MAX]
    assert "nested deeper than 8" in next(iter(found.values()))[0]


@pytest.mark.parametrize("bomb", [nested(BOMB), lists_in_lists(BOMB)], ids=["objects", "lists"])
def test_a_bomb_neither_recurses_nor_raises_wherever_it_lies(bomb):
    buy = GOOD["actions"][0]
    for raw in (
        rule(conditions=[bomb]),
        rule(conditions=bomb),
        rule(conditions=[{**PRICE, "value": bomb}]),
        rule(conditions=[{"field": "price", "operator": "in", "value": [bomb]}]),
        rule(conditions=[{**PRICE, "value": {"field": bomb, "times": bomb}}]),
        rule(actions=[bomb]),
        rule(actions=[{**buy, "size_value": bomb}]),
        rule(name=bomb, priority=bomb, rule_type=bomb),
        rule(schedule=bomb, cooldown=bomb),
        rule(schedule={"weekdays": [bomb], "from": bomb}, cooldown={"minutes": bomb, "per": bomb}),
        bomb,
    ):
        found = faults(raw)
        assert 0 < len(found) <= FAULTS_MAX
        assert all(len(message) < 200 for message, _ in found.values()), (
            "what was sent is not echoed at length"
        )


def test_conditions_are_counted_over_all_levels():
    half = [PRICE] * (CONDITIONS_MAX // 2)
    assert check_rule(rule(conditions=[{"any": half}, {"all": half}])).rule is not None
    assert list(faults(rule(conditions=[{"any": half}, {"all": [*half, PRICE, PRICE]}]))) == [
        "conditions[1].all[32]"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": [PRICE] * MANY},
        {"conditions": [{"all": [PRICE] * MANY}]},
        {"conditions": [{"field": "price", "operator": "in", "value": [5] * MANY}]},
        {"conditions": [{"field": "price", "operator": "between", "value": [5] * MANY}]},
        {"conditions": [{f"key{number}": 1 for number in range(MANY)}]},
        {"conditions": [{**PRICE, "field": "x" * MANY}]},
        {"actions": [GOOD["actions"][0]] * MANY},
        {"actions": [{"type": "alert", "message": "x" * MANY}]},
        {"actions": [{"type": "x" * MANY}]},
        {"schedule": {"weekdays": ["MONDAY"] * MANY}},
        {"cooldown": {"x" * MANY: 1, "minutes": 5}},
        {"name": "x" * MANY},
        {"x" * MANY: 1},
    ],
    ids=lambda changes: f"long-{next(iter(changes))[:10]}",
)
def test_a_long_document_gets_a_short_answer(changes):
    errors = check_rule(rule(**changes)).errors
    assert 1 <= len(errors) <= FAULTS_MAX
    assert all(len(fault.message) < 200 and len(fault.path) < 100 for fault in errors)


@pytest.mark.parametrize("name", ["👩\u200d👧 family", "می\u200cخواهم", "Été e\u0301", "下落を買う"])
def test_a_name_in_any_script_is_kept_as_it_was_written(name):
    assert check_rule(rule(name=name)).rule["name"] == name


def test_a_rule_compares_with_so_many_values_over_all_levels_and_no_more():
    def listed(count):
        return {"field": "price", "operator": "in", "value": list(range(1, count + 1))}

    between = {"field": "rsi", "operator": "between", "value": [30, 70]}
    full = [listed(64), {"not": listed(64)}, {"any": [listed(64), listed(61)]}, between]
    assert TESTS_MAX == 256
    assert faults(rule(conditions=[*full, PRICE])) == {}
    path, (message, cure) = next(iter(faults(rule(conditions=[*full, between])).items()))
    assert path == "conditions[4].value"
    assert "at most 256 values" in message and "Shorten the lists" in cure
    assert list(faults(rule(conditions=[listed(64)] * 64))) == ["conditions[4].value"]


def test_the_answer_to_a_rule_that_is_wrong_everywhere_is_bounded():
    wrong = {"field": "x", "operator": "y", "value": None}
    assert len(check_rule(rule(conditions=[wrong] * 64)).errors) == FAULTS_MAX
    everything = {f"key{number}": 1 for number in range(MANY)} | {"conditions": [wrong], "actions": [{}]}
    assert len(check_rule(everything).errors) == FAULTS_MAX
