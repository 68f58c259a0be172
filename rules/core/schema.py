"""The JSON Schema (draft 2020-12) of a rule, made from the catalogue and the language's own constants.

An editor completes and checks a rule with it while somebody writes. It is the
validator's outer hull: what the schema rejects the validator rejects, and what the
validator accepts the schema accepts. The validator knows more, for a schema cannot
count conditions over all levels, limit their nesting, or compare two numbers.
"""

from functools import cache

from rules.core.cooldown import COOLDOWN_MINUTES_MAX, PER
from rules.core.fields import WEEKDAYS
from rules.core.language import RULE_TYPES, RuleType
from rules.core.schedule import MINUTES_MAX
from rules.core.schema_of_actions import action_definitions, actions_schema
from rules.core.schema_of_conditions import condition_definitions, conditions_schema
from rules.core.schema_parts import Schema, object_of, reference, text, time_of_day
from rules.core.validation import NAME_CHARACTERS_MAX, PRIORITY_MAX

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def rule_schema() -> Schema:
    """The schema of a whole rule as plain JSON. It is shared: do not change it."""
    return {
        "$schema": DIALECT,
        "title": "Trading rule",
        "description": "When all conditions are true, the actions are carried out.",
        "type": "object",
        "required": ["name", "conditions", "actions"],
        "additionalProperties": False,
        "properties": {
            "name": text("What people call the rule.", NAME_CHARACTERS_MAX),
            "rule_type": {"enum": list(RULE_TYPES), "description": "What the rule is for."},
            "type": {
                "enum": list(RULE_TYPES),
                "description": "Alias of rule_type; one of the two is needed.",
            },
            "priority": {
                "type": "integer",
                "minimum": -PRIORITY_MAX,
                "maximum": PRIORITY_MAX,
                "default": 0,
                "description": "Between rules of one type the higher number wins.",
            },
            "conditions": conditions_schema("All of these must be true."),
            "actions": {"description": "What is asked for when the rule fires."},
            "schedule": {"anyOf": [reference("schedule"), {"type": "null"}]},
            "cooldown": {"anyOf": [reference("cooldown"), {"type": "null"}]},
        },
        "oneOf": [_of_type(rule_type) for rule_type in RuleType],
        "allOf": [
            {
                "if": {"required": ["actions"], "properties": {"actions": {"contains": _SELLS_A_PART}}},
                "then": {"required": ["cooldown"], "properties": {"cooldown": reference("cooldown")}},
            },
            {
                "if": {"required": ["actions"], "properties": {"actions": {"items": _BLOCKS}}},
                "then": {"properties": {"cooldown": {"type": "null"}}},
            },
        ],
        "$defs": {
            "schedule": _schedule(),
            "cooldown": _cooldown(),
            **action_definitions(),
            **condition_definitions(),
        },
    }


_SELLS_A_PART: Schema = {
    "type": "object",
    "required": ["type", "percentage"],
    "properties": {"type": {"const": "reduce"}},
}

# Alone it never acts, so there is nothing to rest from.
_BLOCKS: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"const": "block_entries"}},
}


def _of_type(rule_type: RuleType) -> Schema:
    named = {"const": rule_type.value}
    return {
        "title": f"{rule_type.value} rule",
        "anyOf": [{"required": ["rule_type"]}, {"required": ["type"]}],
        "properties": {"rule_type": named, "type": named, "actions": actions_schema(rule_type)},
    }


def _schedule() -> Schema:
    minutes = {"type": "integer", "minimum": 0, "maximum": MINUTES_MAX}
    properties = {
        "weekdays": {"type": "array", "items": {"enum": list(WEEKDAYS)}, "minItems": 1, "uniqueItems": True},
        "from": time_of_day("Not before this time."),
        "to": time_of_day("Not after this time; earlier than from means over midnight."),
        "minutes_after_open": minutes | {"description": "Not before the exchange has been open for so long."},
        "minutes_before_close": minutes | {"description": "Not after so long before the exchange closes."},
    }
    return object_of(
        properties,
        title="Schedule",
        description="When the rule may fire, in market time on the clock of the symbol's exchange.",
    ) | {"minProperties": 1}


def _cooldown() -> Schema:
    return object_of(
        {
            "minutes": {"type": "integer", "minimum": 1, "maximum": COOLDOWN_MINUTES_MAX},
            "per": {"enum": list(PER), "default": PER[0], "description": "What rests: the symbol, or all."},
        },
        required=["minutes"],
        title="Cooldown",
        description="How long the rule rests after it acted, in market time.",
    )
