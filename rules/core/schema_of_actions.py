"""JSON Schema of actions: one definition for each, and for each type of rule the list that it may have."""

from collections.abc import Mapping

from journal.core.events import SEVERITIES
from rules.core.action_checks import BUY_ONLY, COMPANIONS, LIMIT_OFFSET, REDUCE, SIZES, Bounds
from rules.core.actions import (
    ACTIONS_MAX,
    HALT_MODES,
    MESSAGE_CHARACTERS_MAX,
    METHODS_OF,
    ORDER_TYPES,
    SIZE_UNITS,
    TRADE_TYPES,
    TYPES_OF,
    Side,
)
from rules.core.language import RuleType
from rules.core.schema_parts import Schema, object_of, reference, text

# At most one action out of each of these groups in a rule.
_ONE_OF = (TRADE_TYPES, ("block_entries",), ("halt",))
_TOLD: Mapping[str, str] = {
    "buy": "Buy the symbol.",
    "sell": "Sell the symbol, or all that is held when the rule fires for the portfolio as a whole.",
    "reduce": "Sell a part of the position.",
    "block_entries": "While the rule is true no rule buys: this symbol, or any when it fires for the portfolio.",
    "halt": "Arm the emergency stop of the portfolio; only a risk officer releases it.",
    "alert": "Tell people.",
    "limit_offset_bps": "Better than the last price by so much; below zero: through it.",
    "max_position_size": "The position never grows beyond it.",
    "stop_loss_percentage": "Where the position is sold at a loss.",
    "take_profit_percentage": "Where the position is sold at a gain.",
    "trailing_stop_percentage": "How far the price may fall from its height before the position is sold.",
    "percentage": "What is sold; the rule needs a cooldown.",
    "to_position_size": "What is above it is sold.",
}

# A halt of mode "halt" lets no order out, not even the same rule's sale.
_NO_SALE_BEHIND_HALT: Schema = {
    "not": {
        "allOf": [
            {
                "contains": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {"type": {"enum": ["sell", "reduce"]}},
                }
            },
            {
                "contains": {
                    "type": "object",
                    "required": ["type", "mode"],
                    "properties": {"type": {"const": "halt"}, "mode": {"const": "halt"}},
                }
            },
        ]
    }
}


def actions_schema(rule_type: RuleType) -> Schema:
    """The list of actions of a rule of this type."""
    kinds = TYPES_OF[rule_type]
    once = [[kind for kind in group if kind in kinds] for group in _ONE_OF]
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": ACTIONS_MAX,
        "items": {"oneOf": [reference(kind) for kind in kinds]},
        "allOf": [*(_at_most_one(group) for group in once if group), _NO_SALE_BEHIND_HALT],
    }


def action_definitions() -> dict[str, Schema]:
    """`$defs` of actions, named as their types."""
    message = text("What people read.", MESSAGE_CHARACTERS_MAX)
    return {
        "buy": _trade("buy", BUY_ONLY),
        "sell": _trade("sell", {}),
        "reduce": _reduce(),
        "block_entries": _action("block_entries", {}),
        "halt": _action("halt", {"mode": _choice(HALT_MODES)}),
        "alert": _action(
            "alert", {"message": message, "severity": _choice(SEVERITIES)}, required=("message",)
        ),
    }


def _action(kind: str, properties: dict[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    return object_of(
        {"type": {"const": kind}, **properties},
        required=("type", *required),
        title=kind,
        description=_TOLD[kind],
    )


def _reduce() -> Schema:
    properties = {key: _number(bounds, _TOLD[key]) for key, bounds in REDUCE.items()}
    return _action("reduce", properties) | {"oneOf": [{"required": [key]} for key in properties]}


def _trade(side: Side, more: Mapping[str, Bounds]) -> Schema:
    properties: dict[str, Schema] = {
        "sizing_method": {"enum": list(METHODS_OF[side]), "description": "How the size is found."},
        "size_value": {"type": "number"},
        "size_unit": {"enum": list(SIZE_UNITS)},
        "order_type": _choice(ORDER_TYPES),
        "limit_offset_bps": _number(LIMIT_OFFSET, _TOLD["limit_offset_bps"]),
        **{key: _number(bounds, _TOLD[key]) for key, bounds in more.items()},
    }
    return _action(side, properties, required=("sizing_method",)) | {
        "oneOf": [_sized(method) for method in METHODS_OF[side]],
        "if": {"required": ["order_type"], "properties": {"order_type": {"const": "limit"}}},
        "then": {"required": ["limit_offset_bps"]},
        "else": {"properties": {"limit_offset_bps": False}},
    }


def _sized(method: str) -> Schema:
    """What a sizing method needs, and what it has no use for."""
    properties: dict[str, Schema | bool] = {"sizing_method": {"const": method}}
    required = [COMPANIONS[method]] if method in COMPANIONS else []
    if method in SIZES:
        properties["size_value"] = _number(SIZES[method])
        required.append("size_value")
    else:
        properties["size_value"] = False
    if method == "fixed":
        required.append("size_unit")
    else:
        properties["size_unit"] = False
    return {"title": method, "properties": properties, "required": required}


def _number(bounds: Bounds, description: str = "") -> Schema:
    return {
        "type": "number",
        "exclusiveMinimum" if bounds.low_open else "minimum": bounds.low,
        "exclusiveMaximum" if bounds.high_open else "maximum": bounds.high,
        "description": f"{description} In {bounds.unit}.".strip(),
    }


def _choice(choices: tuple[str, ...]) -> Schema:
    return {"enum": list(choices), "default": choices[0]}


def _at_most_one(kinds: list[str]) -> Schema:
    of_kind = {"type": "object", "required": ["type"], "properties": {"type": {"enum": kinds}}}
    return {"contains": of_kind, "minContains": 0, "maxContains": 1}
