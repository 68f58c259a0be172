"""An action that makes no sense is refused, with its path, the reason and a cure."""

import pytest

from rules.core.validation import check_rule

BUY = {"type": "buy", "sizing_method": "percentage", "size_value": 5}
FIXED = {"type": "buy", "sizing_method": "fixed", "size_value": 10, "size_unit": "shares"}
SELL = {"type": "sell", "sizing_method": "full_position"}
SELL_PART = {"type": "sell", "sizing_method": "percentage", "size_value": 5}
REDUCE = {"type": "reduce", "to_position_size": 10}
REDUCE_PART = {"type": "reduce", "percentage": 50}
BLOCK = {"type": "block_entries"}
HALT = {"type": "halt"}
ALERT = {"type": "alert", "message": "look", "severity": "critical"}

HOURLY = {"minutes": 60}


def errors(actions, rule_type, cooldown=None):
    rule = {
        "name": "Alice's rule",
        "rule_type": rule_type,
        "conditions": [{"field": "price", "operator": "greater_than", "value": 100}],
        "actions": actions,
        "cooldown": cooldown,
    }
    return [(fault.path, fault.message, fault.suggestion or "") for fault in check_rule(rule).errors]


@pytest.mark.parametrize(
    ("rule_type", "actions"),
    [
        ("entry", [BUY]),
        ("entry", [BUY, ALERT]),
        ("entry", [{"type": "alert", "message": "look"}]),
        ("exit", [SELL]),
        ("exit", [ALERT, SELL]),
        ("risk", [SELL, BLOCK, HALT, ALERT]),
        ("risk", [REDUCE, BLOCK, HALT, ALERT]),
        ("risk", [HALT]),
        ("risk", [BLOCK]),
        ("entry", [ALERT] * 8),
    ],
)
def test_what_each_type_of_rule_may_do(rule_type, actions):
    assert errors(actions, rule_type) == []


@pytest.mark.parametrize(
    ("rule_type", "action", "usable", "able"),
    [
        ("entry", SELL, "buy, alert", '"exit" or "risk"'),
        ("entry", REDUCE, "buy, alert", '"risk"'),
        ("entry", BLOCK, "buy, alert", '"risk"'),
        ("entry", HALT, "buy, alert", '"risk"'),
        ("exit", BUY, "sell, alert", '"entry"'),
        ("exit", REDUCE, "sell, alert", '"risk"'),
        ("exit", BLOCK, "sell, alert", '"risk"'),
        ("exit", HALT, "sell, alert", '"risk"'),
        ("risk", BUY, "sell, reduce, block_entries, halt, alert", '"entry"'),
    ],
)
def test_what_it_may_not_do(rule_type, action, usable, able):
    article = "A" if rule_type == "risk" else "An"
    assert errors([action], rule_type) == [
        (
            "actions[0].type",
            f'{article} {rule_type} rule has no action "{action["type"]}".',
            f"Use one of: {usable}; or the rule_type {able}.",
        )
    ]


@pytest.mark.parametrize(
    ("rule_type", "actions", "path", "reason", "cure"),
    [
        ("entry", [], "actions", "1 to 8 actions, found 0", "Add"),
        ("entry", [ALERT] * 9, "actions", "1 to 8 actions, found 9", "remove"),
        ("entry", [ALERT] * 10**6, "actions", "1 to 8 actions", "remove"),
        ("entry", "buy", "actions", "not a list", "[ … ]"),
        ("entry", BUY, "actions", "an object is not a list", "[ … ]"),
        ("entry", [BUY, BUY], "actions[1]", "one trade per symbol", "a rule of its own"),
        ("exit", [SELL, ALERT, SELL_PART], "actions[2]", "one trade per symbol", "a rule of its own"),
        ("risk", [SELL, REDUCE], "actions[1]", "one trade per symbol", "a rule of its own"),
        ("risk", [BLOCK, BLOCK], "actions[1]", 'at most one "block_entries"', "Remove"),
        ("risk", [HALT, ALERT, HALT], "actions[2]", 'at most one "halt"', "Remove"),
        ("entry", ["buy"], "actions[0]", "not an action", '{"type": …}'),
        ("entry", [{}], "actions[0]", '"type" is missing', 'Add "type"'),
        ("entry", [{"type": "by"}], "actions[0].type", "Unknown action", 'Did you mean "buy"?'),
        ("risk", [{"type": "sеll"}], "actions[0].type", "Unknown action", 'Did you mean "sell"? In it CYRILLIC'),
        ("entry", [{"type": ["buy"]}], "actions[0].type", "Unknown action a list", "alert, buy"),
        ("entry", [{"type": None}], "actions[0].type", "Unknown action null", "alert, buy"),
    ],
)  # fmt: skip
def test_the_list_of_actions(rule_type, actions, path, reason, cure):
    [(found_path, message, suggestion)] = errors(actions, rule_type)
    assert found_path == path
    assert reason in message
    assert cure in suggestion


@pytest.mark.parametrize(
    ("action", "cooldown"),
    [
        (REDUCE, None),
        ({**REDUCE, "to_position_size": 99.9}, None),
        (REDUCE_PART, HOURLY),
        ({**REDUCE_PART, "percentage": 100}, HOURLY),
    ],
)
def test_a_reduction_that_makes_sense(action, cooldown):
    assert errors([action], "risk", cooldown) == []


@pytest.mark.parametrize(
    ("action", "path", "reason", "cure"),
    [
        ({"type": "reduce"}, "", "exactly one of", 'Add "to_position_size"'),
        ({**REDUCE, **REDUCE_PART}, "", "exactly one of", "Keep one"),
        ({**REDUCE, "size_value": 5}, "", 'Unknown key "size_value"', "Use one of"),
        ({**REDUCE_PART, "percentage": 0}, ".percentage", "0 percent of the position", "above 0 up to 100"),
        ({**REDUCE_PART, "percentage": 101}, ".percentage", "101 percent", "above 0 up to 100"),
        ({**REDUCE_PART, "percentage": "50"}, ".percentage", "not a number", "Did you mean 50?"),
        ({**REDUCE, "to_position_size": 0}, ".to_position_size", "0 percent of equity", "and below 100"),
        ({**REDUCE, "to_position_size": 100}, ".to_position_size", "100 percent", "above 0 and below 100"),
    ],
)
def test_a_reduction_that_makes_no_sense(action, path, reason, cure):
    [(found_path, message, suggestion)] = errors([action], "risk", HOURLY)
    assert found_path == f"actions[0]{path}"
    assert reason in message
    assert cure in suggestion


def test_selling_a_part_needs_a_rest_or_the_part_of_the_rest_goes_too():
    [(path, message, suggestion)] = errors([ALERT, REDUCE_PART], "risk")
    assert path == "actions[1].percentage"
    assert "each evaluation would sell that part of the rest again" in message
    assert '"cooldown"' in suggestion


def test_a_cooldown_that_is_wrong_is_the_only_fault_of_a_reduction():
    assert [path for path, _, _ in errors([REDUCE_PART], "risk", {"minutes": 0})] == ["cooldown.minutes"]


@pytest.mark.parametrize(
    "action",
    [
        {**HALT, "mode": "reduce_only"},
        {**HALT, "mode": "halt"},
        {"type": "alert", "message": "x" * 500, "severity": "info"},
    ],
)
def test_halts_and_alerts_that_make_sense(action):
    assert errors([action], "risk") == []


@pytest.mark.parametrize(
    ("action", "path", "reason", "cure"),
    [
        ({**BLOCK, "minutes": 60}, "", 'Unknown key "minutes"', "Use one of: type"),
        ({**HALT, "scope": "portfolio"}, "", 'Unknown key "scope"', "mode"),
        ({**HALT, "mode": "reduce"}, ".mode", "not known", 'Did you mean "reduce_only"?'),
        ({**HALT, "mode": True}, ".mode", "true is not known", "halt, reduce_only"),
        ({**HALT, "minutes": 60}, "", 'Unknown key "minutes"', "mode"),
        ({"type": "alert"}, "", '"message" is missing', 'Add "message"'),
        ({**ALERT, "message": ""}, ".message", "empty", "Write something"),
        ({**ALERT, "message": 5}, ".message", "not a text", "quotes"),
        ({**ALERT, "message": "x" * 501}, ".message", "501 characters", "at most 500"),
        ({**ALERT, "message": "a\x00b"}, ".message", "control characters", "Remove"),
        ({**ALERT, "message": "\u202eevael a\u202c"}, ".message", "cannot be seen", "Remove"),
        ({**ALERT, "severity": "fatal"}, ".severity", "not known", "critical"),
        ({**ALERT, "sizing_method": "fixed"}, "", "Unknown key", "message"),
    ],
)
def test_blocks_halts_and_alerts_that_make_no_sense(action, path, reason, cure):
    [(found_path, message, suggestion)] = errors([action], "risk")
    assert found_path == f"actions[0]{path}"
    assert reason in message
    assert cure in suggestion


@pytest.mark.parametrize("sale", [SELL, REDUCE], ids=["sell", "reduce"])
def test_a_rule_does_not_stop_its_own_sale(sale):
    cure = 'Use the mode "reduce_only".'
    for actions in ([sale, {**HALT, "mode": "halt"}], [ALERT, {**HALT, "mode": "halt"}, sale]):
        assert [(path, suggestion) for path, _, suggestion in errors(actions, "risk")] == [
            ("actions[1].mode", cure)
        ]
    assert errors([sale, HALT], "risk") == []
    assert errors([BLOCK, {**HALT, "mode": "halt"}], "risk") == []


def test_a_rule_that_only_blocks_never_acts_and_needs_no_rest():
    [(path, message, suggestion)] = errors([BLOCK], "risk", HOURLY)
    assert path == "cooldown"
    assert "never rest" in message and "Remove it" in suggestion
    for beside in (ALERT, HALT, SELL):
        assert errors([BLOCK, beside], "risk", HOURLY) == []


def test_every_fault_of_every_action_comes_at_once():
    buy = {
        **FIXED,
        "size_value": 0,
        "size_unit": "lots",
        "order_type": "stop",
        "max_position_size": 0,
        "x": 1,
    }
    assert [path for path, _, _ in errors([buy, {**ALERT, "message": "", "severity": "x"}], "exit")] == [
        "actions[0].type",
        "actions[0]",
        "actions[0].size_value",
        "actions[0].size_unit",
        "actions[0].max_position_size",
        "actions[0].order_type",
        "actions[1].message",
        "actions[1].severity",
    ]
