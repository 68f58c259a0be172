"""Parts that no rule may have, as tables: what `bad_rules` puts in the place of a good part."""

import math
from collections.abc import Mapping
from typing import Any

from rules.core.fields import CATALOGUE, NUMERIC_TYPES, RECOMMENDATIONS, WEEKDAYS, FieldType
from rules.core.language import Operator, suitable_operators
from tests.harness.rules import Json

PRICE: Json = {"field": "price", "operator": "greater_than", "value": 5}
ALERT: Json = {"type": "alert", "message": "Look"}
BUY: Json = {"type": "buy", "sizing_method": "percentage", "size_value": 5}
SELL: Json = {"type": "sell", "sizing_method": "full_position"}


def _unsuitable() -> list[Json]:
    """Every pair of field and operator that do not suit each other, with a value that suits the field."""
    pairs = []
    for spec in CATALOGUE.values():
        literal: Any = spec.choices[0] if spec.choices else 1
        if spec.type is FieldType.TIME_OF_DAY:
            literal = "09:30"
        pairs += [
            {"field": spec.name, "operator": operator.value, "value": literal}
            for operator in Operator
            if operator not in suitable_operators(spec)
        ]
    return pairs


def _out_of_range() -> list[Json]:
    out = []
    for spec in CATALOGUE.values():
        if spec.type in NUMERIC_TYPES:
            bounds = [(spec.minimum, -1), (spec.maximum, 1)]
            beyond = [bound + step for bound, step in bounds if bound is not None]
            out += [
                {"field": spec.name, "operator": "greater_or_equal", "value": value}
                for value in (*beyond, 10**16)
            ]
    return out


COMPARISONS: Mapping[str, list[Json]] = {
    "operator_does_not_suit": _unsuitable(),
    "number_out_of_range": _out_of_range(),
    "no_comparison_at_all": [{}, {"al": [PRICE]}, {"all": []}, {"any": PRICE}, {"not": [PRICE]}, {"not": None}],
    "two_groups_in_one": [{"all": [PRICE], "any": [PRICE]}, {"not": PRICE, **PRICE}],
    "wrong_word": [
        {**PRICE, "field": "confidence"},
        {**PRICE, "field": "Price"},
        {**PRICE, "field": None},
        {**PRICE, "operator": "gt"},
        {**PRICE, "operator": "GREATER_THAN"},
        {**PRICE, "operator": ["greater_than"]},
        {"field": "ai_recommendation", "operator": "equals", "value": "strong buy"},
        {"field": "ai_recommendation", "operator": "equals", "value": 4},
        {"field": "weekday", "operator": "in", "value": ["MONDAY", "Mon"]},
    ],
    "look_alike": [
        {**PRICE, "field": "рrice"},  # Cyrillic
        {**PRICE, "field": "ｐｒｉｃｅ"},  # full width
        {**PRICE, "field": "price\u200b"},  # zero width space
        {**PRICE, "operator": "greater\u2010than"},
        {"field": "conﬁdence_score", "operator": "greater_than", "value": 0.5},  # ligature
        {"field": "ai_recommendation", "operator": "equals", "value": "ВUY"},
        {"field": "time_of_day", "operator": "less_than", "value": "０９:30"},
    ],
    "not_a_time": [
        {"field": "time_of_day", "operator": "less_than", "value": value}
        for value in ("24:00", "9:30", "09:60", "09.30", "", 570, "09:30:00")
    ],
    "bad_list": [
        {"field": "price", "operator": "between", "value": value} for value in (5, [5], [1, 2, 3], ["1", 2])
    ]
    + [{"field": "price", "operator": "in", "value": value} for value in (5, [], [5] * 65, ["5"])],
    "bad_reference": [
        {**PRICE, "value": value}
        for value in (
            {"times": 2},
            {"field": "prize"},
            {"field": "price"},  # itself
            {"field": "rsi"},  # another unit
            {"field": "sma_50", "times": 0},
            {"field": "sma_50", "times": 1_000_001},
            {"field": "sma_50", "times": "1"},
            {"field": "sma_50", "times": True},
        )
    ]
    + [
        {"field": "price", "operator": "between", "value": {"field": "sma_50"}},
        {"field": "change_percentage_1d", "operator": "crosses_above", "value": {"field": "daily_pnl_percentage"}},
        {"field": "ai_recommendation", "operator": "equals", "value": {"field": "price"}},
    ],
    "low_above_high": [
        {"field": "price", "operator": "between", "value": [2, 1]},
        {"field": "time_of_day", "operator": "between", "value": ["16:00", "09:30"]},
    ],
    "never_true": [
        {"field": "ai_recommendation", "operator": "greater_than", "value": "STRONG_BUY"},
        {"field": "ai_recommendation", "operator": "less_than", "value": "STRONG_SELL"},
        {"field": "time_of_day", "operator": "less_than", "value": "00:00"},
        {"field": "rsi", "operator": "greater_than", "value": 100},
        {"field": "weekday", "operator": "not_in", "value": list(WEEKDAYS)},
        {"field": "ai_recommendation", "operator": "in", "value": list(RECOMMENDATIONS)},
    ],
    "not_finite": [{**PRICE, "value": value} for value in (math.nan, math.inf, -math.inf)],
}  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, [], {}, "not a value", [[1]], {"field": "nothing like it"})


def _each(key: str, *values: Any) -> list[tuple[str, Any]]:
    return [(key, value) for value in values]


PARTS: Mapping[str, list[tuple[str, Any]]] = {
    "bad_name": _each("name", "", "   ", "x" * 256, 5, None, "a\nb", "\u202eelur A", "\u200b"),
    "bad_priority": _each("priority", 1.5, "1", True, None, 2**31, -(2**31), []),
    "no_conditions": _each("conditions", None, [], {}, "price > 5", [PRICE] * 65, [None]),
    "no_actions": _each("actions", None, [], ALERT, [ALERT] * 9, ["buy"], [{}]),
    "unknown_key": [("enabled", True), ("portfolio", "x"), ("Name", "A rule")],
    "bad_schedule": _each(
        "schedule",
        {}, [], "always", {"days": ["MONDAY"]}, {"weekdays": []}, {"weekdays": ["Monday"]},
        {"weekdays": ["MONDAY", "MONDAY"]}, {"weekdays": "MONDAY"}, {"from": "24:00"}, {"from": "9:30"},
        {"to": 930}, {"from": "09:30", "to": "09:30"}, {"from": None}, {"minutes_after_open": -1},
        {"minutes_after_open": 1441}, {"minutes_before_close": 1.5}, {"minutes_before_close": True},
    ),
    "bad_cooldown": _each(
        "cooldown",
        {}, 60, [], {"minutes": 0}, {"minutes": 525_601}, {"minutes": 1.5}, {"minutes": True},
        {"minutes": "60"}, {"per": "rule"}, {"minutes": 60, "per": "portfolio"}, {"hours": 1},
    ),
}  # fmt: skip


def _limits(**beside: Any) -> Json:
    return {**BUY, "order_type": "limit", "limit_offset_bps": 10, **beside}


ACTIONS: Mapping[str, list[Any]] = {
    "entry": [
        {"type": "by"}, {"type": None}, {"type": "buy"}, SELL, {"type": "halt"}, {"type": "block_entries"},
        {"type": "reduce", "to_position_size": 5}, {**BUY, "sizing_method": "percent"},
        {**BUY, "sizing_method": "full_position"}, {**BUY, "size_value": 0}, {**BUY, "size_value": -5},
        {**BUY, "size_value": 100.5}, {**BUY, "size_value": "5"}, {**BUY, "size_value": True},
        {**BUY, "size_unit": "cash"}, {"type": "buy", "sizing_method": "percentage"},
        {**BUY, "sizing_method": "fixed"}, {**BUY, "sizing_method": "fixed", "size_unit": "lots"},
        {**BUY, "sizing_method": "fixed", "size_unit": "shares", "size_value": 10**9 + 1},
        {**BUY, "sizing_method": "kelly", "size_value": 0.5},
        {**BUY, "sizing_method": "kelly", "size_value": 1.5, "max_position_size": 10},
        {**BUY, "sizing_method": "volatility_target"}, {**BUY, "sizing_method": "risk_per_trade"},
        {**BUY, "max_position_size": 0}, {**BUY, "max_position_size": 101}, {**BUY, "max_position_size": None},
        {**BUY, "order_type": "stop"}, {**BUY, "order_type": "limit"}, {**BUY, "limit_offset_bps": 10},
        _limits(limit_offset_bps=1001), _limits(limit_offset_bps=-1001), _limits(limit_offset_bps="10"),
        {**BUY, "stop_loss_percentage": 0}, {**BUY, "stop_loss_percentage": 100},
        {**BUY, "take_profit_percentage": 0}, {**BUY, "take_profit_percentage": 1000.5},
        {**BUY, "trailing_stop_percentage": 0}, {**BUY, "trailing_stop_percentage": 100},
        {**BUY, "trailing_stop_percentage": "5"},
        {**ALERT, "message": ""}, {**ALERT, "message": "x" * 501}, {**ALERT, "message": 5},
        {**ALERT, "severity": "fatal"}, {"type": "alert"},
    ],
    "exit": [
        BUY, {"type": "halt"}, {"type": "block_entries"}, {"type": "reduce", "to_position_size": 5},
        {**SELL, "size_value": 5}, {**SELL, "size_unit": "cash"}, {**SELL, "max_position_size": 5},
        {**SELL, "stop_loss_percentage": 5}, {**SELL, "take_profit_percentage": 5},
        {**SELL, "trailing_stop_percentage": 5},
        {**SELL, "sizing_method": "kelly", "size_value": 0.5}, {"type": "sell"},
        {**SELL, "sizing_method": "percentage", "size_value": 101},
    ],
    "risk": [
        BUY, {"type": "reduce"}, {"type": "reduce", "to_position_size": 0},
        {"type": "reduce", "to_position_size": 100}, {"type": "reduce", "percentage": 101},
        {"type": "reduce", "percentage": 0}, {"type": "reduce", "percentage": 50, "to_position_size": 5},
        {"type": "reduce", "to_position_size": "5"}, {"type": "halt", "scope": "portfolio"},
        {"type": "halt", "mode": "stop"}, {"type": "halt", "mode": None},
    ],
}  # fmt: skip
TOO_MANY: Mapping[str, list[list[Json]]] = {
    "entry": [[BUY, BUY]],
    "exit": [[SELL, SELL]],
    "risk": [
        [SELL, {"type": "reduce", "to_position_size": 5}],
        [{"type": "halt"}, {"type": "halt"}],
        [SELL, {"type": "halt", "mode": "halt"}],
        [{"type": "halt", "mode": "halt"}, {"type": "reduce", "to_position_size": 5}],
        [{"type": "block_entries"}, {"type": "block_entries"}],
    ],
}
