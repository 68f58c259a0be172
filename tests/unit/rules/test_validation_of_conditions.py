"""A condition that could never decide anything is refused, with its path, the reason and a cure."""

from decimal import Decimal

import pytest

from rules.core.conditions import read_conditions
from rules.core.faults import Faults
from rules.core.fields import RECOMMENDATIONS, WEEKDAYS

PRICE = {"field": "price", "operator": "greater_than", "value": 100}
MANY = 10**6


def condition_fault(condition, path=""):
    """The one fault of a condition, and that it stands at the path."""
    faults = Faults()
    assert read_conditions([condition], faults) is None
    [fault] = faults.found
    assert fault.path == f"conditions[0]{path}"
    return fault.message, fault.suggestion or ""


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("prize", "price"),
        ("confidense_score", "confidence_score"),
        ("Confidence Score", "confidence_score"),
    ],
)
def test_an_unknown_field_is_named_with_what_was_meant(field, meant):
    message, suggestion = condition_fault({**PRICE, "field": field}, ".field")
    assert message == f'Unknown field "{field}".'
    assert suggestion == f'Did you mean "{meant}"?'


@pytest.mark.parametrize(
    ("field", "meant", "character"),
    [
        ("рrice", "price", "CYRILLIC SMALL LETTER ER (U+0440) only looks like a plain character"),
        ("рriсе", "price", "CYRILLIC SMALL LETTER ER (U+0440) only looks like a plain character"),
        ("vοlume", "volume", "GREEK SMALL LETTER OMICRON (U+03BF) only looks like a plain character"),
        ("ｐｒｉｃｅ", "price", "FULLWIDTH LATIN SMALL LETTER P (U+FF50) only looks like a plain character"),
        ("conﬁdence_score", "confidence_score", "LATIN SMALL LIGATURE FI (U+FB01) only looks like"),
        ("volatílity", "volatility", "LATIN SMALL LETTER I WITH ACUTE (U+00ED) only looks like"),
        ("sma–50", "sma_50", "EN DASH (U+2013) only looks like a plain character"),
        ("pri\u200bce", "price", "ZERO WIDTH SPACE (U+200B) cannot be seen"),
        ("\u202eprice", "price", "RIGHT-TO-LEFT OVERRIDE (U+202E) cannot be seen"),
        ("pri\ud800ce", "price", "a character (U+D800) cannot be seen"),
    ],
)
def test_a_character_that_only_looks_alike_is_named(field, meant, character):
    message, suggestion = condition_fault({**PRICE, "field": field}, ".field")
    assert message.startswith("Unknown field ")
    assert not {"\u200b", "\u202e", "\ud800"}.intersection(message), "what cannot be seen is not shown back"
    assert suggestion.startswith(f'Did you mean "{meant}"? In it {character}')


@pytest.mark.parametrize(
    ("condition", "path", "meant"),
    [
        ({**PRICE, "operator": "greаter_than"}, ".operator", "greater_than"),
        ({**PRICE, "operator": "еquals"}, ".operator", "equals"),
        ({"fіeld": "price", "operator": "equals", "value": 3}, "", "field"),
        ({**PRICE, "value": {"field": "smа_50"}}, ".value.field", "sma_50"),
        ({"field": "weekday", "operator": "equals", "value": "МОNDАУ"}, ".value", "MONDAY"),
        ({"аll": [PRICE]}, "", "all"),
    ],
)
def test_every_word_of_the_language_is_plain(condition, path, meant):
    faults = Faults()
    read_conditions([condition], faults)
    first = faults.found[0]
    assert first.path == f"conditions[0]{path}"
    assert first.suggestion.startswith(f'Did you mean "{meant}"? In it CYRILLIC')


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
        ("confidence_score", "less_than", -0.5, "Did you mean 0.5?"),
        ("rsi", "less_than", 130, "Use a value from 0 to 100."),
        ("rsi", "less_than", 0, "Use a value from 0 to 100."),  # never true
        ("drawdown_percentage", "greater_than", -5, "Did you mean 5?"),
        ("position_pnl_percentage", "less_than", -150, "Use a value from -100 up."),
        ("price", "crosses_below", 0, "Use a value from 0 up."),
        ("open_positions", "less_than", 2.5, "Did you mean 2?"),
        ("price", "greater_than", "100", "Did you mean 100?"),
        ("confidence_score", "greater_than", "80%", "Did you mean 0.8?"),
        ("position_pnl_percentage", "less_than", "-5 %", "Did you mean -5?"),
        ("price", "greater_than", "a lot", "Write a number without quotes."),
        ("price", "greater_than", "1e400", "Write a number without quotes."),
        ("price", "greater_than", True, "Write a number without quotes."),
        ("price", "greater_than", None, "Write a number without quotes."),
        ("price", "greater_than", [100], "Write a number without quotes."),
        ("price", "greater_than", float("nan"), "Write a finite number."),
        ("price", "greater_than", float("inf"), "Write a finite number."),
        ("price", "greater_than", Decimal("-Infinity"), "Write a finite number."),
        pytest.param("price", "greater_than", 10**400, "Use a number nearer to 0.", id="price-huge"),
        pytest.param(
            "price", "greater_than", -(10**15) - 1, "Use a number nearer to 0.", id="price-negative"
        ),
        ("price", "greater_than", 1e16, "Use a number nearer to 0."),
        ("price", "greater_than", Decimal("sNaN"), "Write a finite number."),
        ("price", "greater_than", Decimal("1e400"), "Use a number nearer to 0."),
        ("ai_recommendation", "equals", "STRONGBUY", 'Did you mean "STRONG_BUY"?'),
        ("ai_recommendation", "equals", "strong_buy", 'Did you mean "STRONG_BUY"?'),
        ("ai_recommendation", "equals", 4, "Use one of: BUY, HOLD, SELL, STRONG_BUY, STRONG_SELL."),
        ("weekday", "equals", "MON", 'Did you mean "MONDAY"?'),
        ("time_of_day", "greater_than", "9:45", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", "24:00", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", "09:45\n", 'Write "HH:MM", as "09:45".'),
        ("time_of_day", "greater_than", 585, 'Write "HH:MM", as "09:45".'),
        ("ai_recommendation", "greater_than", "STRONG_BUY", "Use another value, or another operator."),
        ("ai_recommendation", "less_than", "STRONG_SELL", "Use another value, or another operator."),
        ("time_of_day", "less_than", "00:00", "Use another value, or another operator."),
        ("weekday", "not_in", list(WEEKDAYS), "Leave some of them out, or remove the comparison."),
        (
            "ai_recommendation",
            "in",
            list(RECOMMENDATIONS),
            "Leave some of them out, or remove the comparison.",
        ),
        (
            "ai_recommendation",
            "not_in",
            list(RECOMMENDATIONS),
            "Leave some of them out, or remove the comparison.",
        ),
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


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("ai_recommendation", "greater_than", "BUY"),
        ("ai_recommendation", "less_or_equal", "STRONG_SELL"),
        ("ai_recommendation", "not_in", list(RECOMMENDATIONS[1:])),
        ("time_of_day", "greater_than", "23:59"),  # half a minute is left
        ("time_of_day", "less_or_equal", "00:00"),
        ("volatility", "greater_than", 12),  # a stock that doubles and halves
        ("rsi", "greater_or_equal", 100),
        ("rsi", "between", [0, 100]),
    ],
)
def test_a_value_at_the_edge_that_can_still_decide(field, operator, value):
    faults = Faults()
    assert read_conditions([{"field": field, "operator": operator, "value": value}], faults)
    assert faults.found == []


def test_a_bad_member_of_a_list_is_named_by_its_place():
    condition = {"field": "ai_recommendation", "operator": "in", "value": ["BUY", "STRONG"]}
    condition_fault(condition, ".value[1]")
    condition_fault({"field": "rsi", "operator": "between", "value": [20, 120]}, ".value[1]")
    condition_fault({"field": "rsi", "operator": "between", "value": [True, 80]}, ".value[0]")
    condition_fault({"field": "price", "operator": "in", "value": [1, float("nan")]}, ".value[1]")


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
        ({"field": "sma_50", "times": "1.02"}, ".value.times", "not a number"),
        ({"field": "sma_50", "times": float("nan")}, ".value.times", "not a finite number"),
        pytest.param({"field": "sma_50", "times": 10**400}, ".value.times", "beyond 10^15", id="huge-times"),
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
