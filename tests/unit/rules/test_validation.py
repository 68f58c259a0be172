"""A rule that the machine would not carry out is refused, with the path, the reason and a cure."""

import copy
from decimal import Decimal

import pytest

from rules.core.faults import FAULTS_MAX
from rules.core.language import CONDITIONS_MAX, NESTING_MAX
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


def rule(**changes):
    changed = copy.deepcopy(GOOD) | changes
    return {key: value for key, value in changed.items() if value is not ...}


def faults(raw):
    result = check_rule(raw)
    assert (result.rule is None) == bool(result.errors), "a rule or faults, never both"
    return {fault.path: (fault.message, fault.suggestion or "") for fault in result.errors}


def condition_fault(condition, path=""):
    found = faults(rule(conditions=[condition]))
    assert list(found) == [f"conditions[0]{path}"], found
    return found[f"conditions[0]{path}"]


def action_fault(action, path="", rule_type="entry"):
    found = faults(rule(rule_type=rule_type, actions=[action]))
    assert list(found) == [f"actions[0]{path}"], found
    return found[f"actions[0]{path}"]


def test_a_good_rule_comes_back_with_every_key():
    assert check_rule(GOOD).rule == GOOD | {"schedule": None, "cooldown": None}


def test_the_stored_form_is_valid_again():
    stored = check_rule(GOOD).rule
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
    ("raw", "path", "reason"),
    [
        ([], "", "is not a rule"),
        (None, "", "is not a rule"),
        (rule(name=...), "", '"name" is missing'),
        (rule(conditions=...), "", '"conditions" is missing'),
        (rule(actions=...), "", '"actions" is missing'),
        (rule(rule_type=...), "", '"rule_type" is missing'),
        (rule(nmae="x"), "", 'Unknown key "nmae"'),
        (rule(name=""), "name", "empty"),
        (rule(name="  \u00a0"), "name", "empty"),
        (rule(name="x" * 256), "name", "256 characters"),
        (rule(name="a\x00b"), "name", "control characters"),  # PostgreSQL cannot store it
        (rule(name="a\ud800b"), "name", "control characters"),  # nor half a surrogate pair
        (rule(name=5), "name", "not a text"),
        (rule(rule_type="entyr"), "rule_type", "Unknown rule type"),
        (rule(rule_type=["entry"]), "rule_type", "Unknown rule type"),
        (rule(priority=True), "priority", "true is not a number"),
        (rule(priority=1.5), "priority", "not a priority"),
        (rule(priority=2**31), "priority", "not a priority"),  # the column is int4
        (rule(priority=10**400), "priority", "beyond 10^15"),
        (rule(priority=float("nan")), "priority", "finite"),
        (rule(schedule={"days": []}), "schedule", "not available in this version"),
        (rule(cooldown={"minutes": 5}), "cooldown", "not available in this version"),
        (rule(conditions=[]), "conditions", "empty"),
        (rule(conditions={}), "conditions", "not a list"),
        (rule(conditions="price > 5"), "conditions", "not a list"),
        (rule(actions=[]), "actions", "1 to 8"),
        (rule(actions=[{"type": "alert", "message": "x"}] * 9), "actions", "1 to 8"),
        (rule(actions="buy"), "actions", "not a list"),
    ],
)
def test_the_rule_as_a_whole(raw, path, reason):
    found = faults(raw)
    assert list(found) == [path]
    assert reason in found[path][0]
    assert found[path][1], "every fault has a cure"


def test_the_longest_name_and_the_extreme_priorities_are_accepted():
    assert check_rule(rule(name="ü" * 255, priority=-(2**31) + 1)).rule is not None


def test_all_faults_come_at_once():
    found = faults(rule(name="", priority="high", conditions=[{**PRICE, "field": "prize"}], actions=[{}]))
    assert set(found) == {"name", "priority", "conditions[0].field", "actions[0]"}


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("prize", "price"),
        ("confidense_score", "confidence_score"),
        ("Confidence Score", "confidence_score"),
        ("рrice", "price"),  # its first letter is Cyrillic
        ("ｐｒｉｃｅ", "price"),  # fullwidth
    ],
)
def test_an_unknown_field_is_named_with_what_was_meant(field, meant):
    message, suggestion = condition_fault({**PRICE, "field": field}, ".field")
    assert "Unknown field" in message
    assert suggestion == f'Did you mean "{meant}"?'


@pytest.mark.parametrize("field", [None, 5, ["price"], {"field": "price"}, "x" * MANY])
def test_a_field_that_is_no_name_is_unknown(field):
    message, suggestion = condition_fault({**PRICE, "field": field}, ".field")
    assert len(message) < 100, "what was sent is not echoed at length"
    assert suggestion.startswith("Use one of: ai_recommendation")


@pytest.mark.parametrize("operator", ["above", "GREATER_THAN", ">", None, 3, ["equals"]])
def test_an_unknown_operator(operator):
    message, suggestion = condition_fault({**PRICE, "operator": operator}, ".operator")
    assert "Unknown operator" in message
    assert "crosses_above" in suggestion or "greater_than" in suggestion


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("weekday", "greater_than", "MONDAY"),  # weeks go round
        ("time_of_day", "equals", "10:00"),  # depends on who looks when
        ("ai_recommendation", "crosses_above", "HOLD"),
        ("ai_recommendation", "changed_to", "BUY"),  # not kept for completed bars
        ("spread_bps", "crosses_above", 5),  # a bar has no quote
        ("position_pnl_percentage", "crosses_below", -5),
        ("portfolio_equity", "changed_to", 0),
    ],
)
def test_an_operator_that_does_not_suit_the_field(field, operator, value):
    _, suggestion = condition_fault({"field": field, "operator": operator, "value": value}, ".operator")
    assert suggestion.startswith("Use one of: ")
    assert operator not in suggestion.removeprefix("Use one of: ").rstrip(".").split(", ")


@pytest.mark.parametrize(
    ("field", "operator", "value", "cure"),
    [
        ("confidence_score", "greater_than", 80, "Did you mean 0.8?"),
        ("confidence_score", "greater_than", 1, "Use a value from 0 to 1."),  # never true
        ("volatility", "less_than", 30, "Did you mean 0.3?"),
        ("rsi", "less_than", 130, "Use a value from 0 to 100."),
        ("rsi", "less_than", 0, "Use a value from 0 to 100."),  # never true
        ("drawdown_percentage", "greater_than", -5, "Did you mean 5?"),
        ("position_pnl_percentage", "less_than", -150, "Use a value from -100 up."),
        ("price", "crosses_below", 0, "Use a value from 0 up."),
        ("open_positions", "less_than", 2.5, "Did you mean 2?"),
        ("price", "greater_than", "100", "Did you mean 100?"),
        ("confidence_score", "greater_than", "80%", "Did you mean 80?"),
        ("price", "greater_than", True, "Write a number without quotes."),
        ("price", "greater_than", None, "Write a number without quotes."),
        ("price", "greater_than", [100], "Write a number without quotes."),
        ("price", "greater_than", float("nan"), "Use a smaller number."),
        ("price", "greater_than", float("inf"), "Use a smaller number."),
        ("price", "greater_than", 10**400, "Use a smaller number."),
        ("price", "greater_than", Decimal("sNaN"), "Use a smaller number."),
        ("price", "greater_than", Decimal("1e999999"), "Use a smaller number."),
        ("ai_recommendation", "equals", "STRONGBUY", 'Did you mean "STRONG_BUY"?'),
        ("ai_recommendation", "equals", "strong_buy", 'Did you mean "STRONG_BUY"?'),
        ("ai_recommendation", "equals", 4, "Use one of: BUY, HOLD, SELL, STRONG_BUY, STRONG_SELL."),
        ("weekday", "equals", "MON", 'Did you mean "MONDAY"?'),
        ("time_of_day", "greater_than", "9:45", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", "24:00", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", "09:45\n", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", 585, 'Write "HH:MM", as "09:45".'),
        ("price", "between", 5, "Write [low, high]."),
        ("price", "between", [1, 2, 3], "Write [low, high]."),
        ("price", "between", [20, 10], "Did you mean [10, 20]?"),
        ("price", "in", 5, "Write [ … ]."),
        ("price", "in", [], "Write [ … ]."),
        ("price", "in", list(range(65)), "Write [ … ]."),
    ],
)
def test_a_value_that_is_impossible(field, operator, value, cure):
    assert condition_fault({"field": field, "operator": operator, "value": value}, ".value")[1] == cure


def test_a_bad_member_of_a_list_is_named_by_its_place():
    condition = {"field": "ai_recommendation", "operator": "in", "value": ["BUY", "STRONG"]}
    condition_fault(condition, ".value[1]")
    condition_fault({"field": "rsi", "operator": "between", "value": [20, 120]}, ".value[1]")


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"field": "sma_5"}, ".value.field", "Unknown field"),
        ({"field": "rsi"}, ".value.field", "cannot be compared"),
        ({"field": "price"}, ".value.field", "with itself"),
        ({"field": "ai_recommendation"}, ".value.field", "cannot be compared"),
        ({"field": "sma_50", "times": 0}, ".value.times", "no useful factor"),
        ({"field": "sma_50", "times": 1e7}, ".value.times", "no useful factor"),
        ({"field": "sma_50", "times": True}, ".value.times", "not a number"),
        ({"field": "sma_50", "plus": 1}, ".value", 'Unknown key "plus"'),
        ({"times": 2}, ".value", '"field" is missing'),
    ],
)
def test_a_reference_to_another_field(value, path, reason):
    assert reason in condition_fault({**PRICE, "value": value}, path)[0]


def test_a_reference_fits_only_operators_with_one_value():
    condition_fault({"field": "price", "operator": "between", "value": {"field": "sma_50"}}, ".value")
    condition_fault(
        {
            "field": "change_percentage_1d",
            "operator": "crosses_above",
            "value": {"field": "daily_pnl_percentage"},
        },
        ".value.field",
    )
    condition_fault(
        {"field": "ai_recommendation", "operator": "equals", "value": {"field": "price"}}, ".value.field"
    )


@pytest.mark.parametrize(
    ("condition", "path", "reason"),
    [
        ("price > 5", "", "not a condition"),
        ({}, "", "Not a condition"),
        ({"al": [PRICE]}, "", 'the keys are "al"'),
        ({"field": "price", "value": 3}, "", '"operator" is missing'),
        ({**PRICE, "unit": "USD"}, "", 'Unknown key "unit"'),
        ({"all": [PRICE], "any": [PRICE]}, "", 'one key "all"'),
        ({"all": [PRICE], "xor": 1}, "", 'Unknown key "xor"'),
        ({"any": []}, ".any", "empty"),
        ({"any": PRICE}, ".any", "not a list"),
        ({"not": [PRICE]}, ".not", "not a condition"),
        ({"all": [PRICE, {"not": {**PRICE, "field": "prize"}}]}, ".all[1].not.field", "Unknown field"),
    ],
)
def test_the_shape_of_a_condition(condition, path, reason):
    message, suggestion = condition_fault(condition, path)
    assert reason in message
    assert suggestion


def nested(levels):
    node = PRICE
    for _ in range(levels - 1):
        node = {"not": node}
    return [node]


def test_nesting_is_bounded():
    assert check_rule(rule(conditions=nested(NESTING_MAX))).rule is not None
    assert "nested deeper" in next(iter(faults(rule(conditions=nested(NESTING_MAX + 1))).values()))[0]
    assert faults(rule(conditions=nested(100_000))), "a bomb neither recurses nor raises"


def test_conditions_are_counted_over_all_levels():
    half = [PRICE] * (CONDITIONS_MAX // 2)
    assert check_rule(rule(conditions=[{"any": half}, {"all": half}])).rule is not None
    assert list(faults(rule(conditions=[{"any": half}, {"all": [*half, PRICE, PRICE]}]))) == [
        "conditions[1].all[32]"
    ]
    assert list(faults(rule(conditions=[PRICE] * MANY))) == ["conditions"]


def test_the_answer_to_a_bad_rule_is_bounded():
    wrong = {"field": "x", "operator": "y", "value": None}
    assert len(check_rule(rule(conditions=[wrong] * 64)).errors) == FAULTS_MAX
    assert len(check_rule(rule(**{f"key{number}": 1 for number in range(10_000)})).errors) == FAULTS_MAX


BUY = {"type": "buy", "sizing_method": "percentage", "size_value": 5}
SELL = {"type": "sell", "sizing_method": "full_position"}
ALERT = {"type": "alert", "message": "look", "severity": "critical"}
FIXED = {"type": "buy", "sizing_method": "fixed", "size_value": 10, "size_unit": "shares"}


@pytest.mark.parametrize(
    ("rule_type", "actions"),
    [
        ("entry", [BUY]),
        ("entry", [{**BUY, "max_position_size": 10, "order_type": "market"}, ALERT]),
        ("entry", [FIXED]),
        ("entry", [{**FIXED, "size_unit": "cash", "size_value": 0.5}]),
        ("entry", [{"type": "alert", "message": "look"}]),
        ("exit", [SELL]),
        ("exit", [{**BUY, "type": "sell"}]),
        ("risk", [SELL, ALERT]),
    ],
)
def test_actions_that_are_carried_out(rule_type, actions):
    assert check_rule(rule(rule_type=rule_type, actions=actions)).errors == ()


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ({"type": "buy", "sizing_method": "kelly"}, ".sizing_method"),
        ({"type": "buy", "sizing_method": "volatility_target", "size_value": 1}, ".sizing_method"),
        ({"type": "buy", "sizing_method": "risk_per_trade", "size_value": 1}, ".sizing_method"),
        ({**BUY, "order_type": "limit"}, ".order_type"),
        ({**BUY, "limit_offset_bps": 5}, ".limit_offset_bps"),
        ({**BUY, "stop_loss_percentage": 5}, ".stop_loss_percentage"),
        ({**BUY, "take_profit_percentage": 5}, ".take_profit_percentage"),
        ({"type": "block_entries"}, ".type"),
        ({"type": "reduce", "size_value": 50}, ".type"),
        ({"type": "halt"}, ".type"),
    ],
)
def test_what_later_versions_bring_is_refused_until_then(action, path):
    assert "is not available in this version" in action_fault(action, path)[0]


@pytest.mark.parametrize(
    ("action", "path", "reason"),
    [
        ("buy", "", "not an action"),
        ({}, "", '"type" is missing'),
        ({"type": "by"}, ".type", "Unknown action"),
        ({"type": ["buy"]}, ".type", "Unknown action"),
        ({"type": "buy"}, "", '"sizing_method" is missing'),
        ({**BUY, "sizing_method": "percent"}, ".sizing_method", "not known"),
        ({**BUY, "sizing_method": None}, ".sizing_method", "not known"),
        ({"type": "buy", "sizing_method": "full_position"}, ".sizing_method", "not known"),
        ({**BUY, "size_vale": 5}, "", "Unknown key"),
        ({"type": "buy", "sizing_method": "percentage"}, "", '"size_value" is missing'),
        ({**BUY, "size_value": 0}, ".size_value", "not a possible size"),
        ({**BUY, "size_value": -5}, ".size_value", "not a possible size"),
        ({**BUY, "size_value": 101}, ".size_value", "not a possible size"),
        ({**BUY, "size_value": "5"}, ".size_value", "not a number"),
        ({**BUY, "size_value": True}, ".size_value", "not a number"),
        ({**BUY, "size_unit": "cash"}, ".size_unit", "ignored"),
        ({**BUY, "max_position_size": 0}, ".max_position_size", "not a possible size"),
        ({**BUY, "max_position_size": 150}, ".max_position_size", "not a possible size"),
        ({**BUY, "order_type": "markt"}, ".order_type", "not known"),
        ({"type": "buy", "sizing_method": "fixed", "size_value": 10}, "", '"fixed" needs "size_unit"'),
        ({**FIXED, "size_unit": "lots"}, ".size_unit", "not known"),
        ({**FIXED, "size_value": 10**10}, ".size_value", "not a possible size"),
        (SELL, ".type", "entry rule does not sell"),
        ({"type": "alert"}, "", '"message" is missing'),
        ({"type": "alert", "message": ""}, ".message", "empty"),
        ({"type": "alert", "message": "x" * 501}, ".message", "501 characters"),
        ({**ALERT, "severity": "fatal"}, ".severity", "not known"),
        ({**ALERT, "sizing_method": "fixed"}, "", "Unknown key"),
    ],
)
def test_an_action_that_would_not_be_carried_out(action, path, reason):
    message, suggestion = action_fault(action, path)
    assert reason in message
    assert suggestion


@pytest.mark.parametrize(
    ("action", "path", "reason"),
    [
        (BUY, ".type", "exit rule does not buy"),
        ({**SELL, "size_value": 5}, ".size_value", "ignored"),
        ({**BUY, "type": "sell", "max_position_size": 5}, ".max_position_size", "not bounded"),
    ],
)
def test_a_sell_has_its_own_bounds(action, path, reason):
    assert reason in action_fault(action, path, rule_type="exit")[0]


def test_a_rule_makes_at_most_one_trade():
    assert list(faults(rule(actions=[BUY, BUY]))) == ["actions[1]"]
