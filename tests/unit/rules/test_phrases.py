"""A comparison is told in the words of its field, and no two read alike."""

import pytest

from rules.core import phrases
from rules.core.conditions import parse_conditions
from rules.core.fields import CATALOGUE, FieldType
from rules.core.language import BAR_OPERATORS, LIST_OPERATORS, Operator, comparable_fields, suitable_operators
from rules.core.phrases import clause_of


def clause(field, operator, value):
    (comparison,) = parse_conditions([{"field": field, "operator": operator, "value": value}]).nodes
    return clause_of(comparison)


@pytest.mark.parametrize(
    ("field", "operator", "value", "words"),
    [
        ("confidence_score", "greater_or_equal", 0.07, "the AI's confidence is at least 7 %"),
        ("volatility", "less_than", 0.25, "the volatility is below 25 % per year"),
        ("price", "greater_than", {"field": "sma_50", "times": 1.02}, "the price is above 1.02 × the 50-day average"),
        ("sma_20", "crosses_above", {"field": "sma_50"}, "the 20-day average crosses above the 50-day average"),
        ("change_percentage_1d", "greater_than", 3, "the price is up more than 3 % in one session"),
        ("change_percentage_1d", "less_or_equal", -2.5, "the price is down at least 2.5 % in one session"),
        # "up less than 3 %" would hide that it may also be down
        ("change_percentage_1d", "less_than", 3, "the change in one session is below 3 %"),
        ("daily_pnl_percentage", "less_than", 0, "the portfolio is down today"),
        ("high_52w_distance", "less_than", -20, "the price is more than 20 % below its 52-week high"),
        ("high_52w_distance", "greater_than", -2, "the price is less than 2 % below its 52-week high"),
        ("portfolio_equity", "less_than", 1_000_000.5, "the portfolio's equity is below 1,000,000.5"),
        ("relative_volume", "greater_than", 1.5, "the volume is more than 1.5 times its average"),
        ("holding_days", "greater_or_equal", 1, "the position was held for at least 1 day"),
        ("ai_recommendation", "in", ["BUY", "STRONG_BUY"], "the AI says BUY or STRONG_BUY"),
        ("ai_recommendation", "in", ["BUY"], "the AI says BUY"),
        ("ai_recommendation", "not_in", ["SELL", "STRONG_SELL"], "the AI does not say STRONG_SELL or SELL"),
        ("ai_recommendation", "less_or_equal", "SELL", "the AI says SELL or worse"),
        ("time_of_day", "between", ["09:45", "15:30"], "it is between 09:45 and 15:30"),
        ("weekday", "not_equals", "FRIDAY", "it is not Friday"),
        ("rsi", "in", [30, 50, 70], "the RSI is one of 30, 50 or 70"),
        ("rsi", "not_in", [30], "the RSI is not equal to 30"),
        ("atr", "less_than", 1e-12, "the average true range is below 1e-12"),
        ("price", "less_than", 0.0001, "the price is below 0.0001"),
    ],
    ids=str,
)  # fmt: skip
def test_a_comparison_is_told_in_the_words_of_its_field(field, operator, value, words):
    assert clause(field, operator, value) == words


def values_for(spec, operator):
    """A few literals that decide something, and every other field."""
    if spec.choices:
        literals = list(spec.choices[1:3])
    elif spec.type is FieldType.TIME_OF_DAY:
        literals = ["09:30", "16:00"]
    else:
        low, high = spec.minimum, spec.maximum
        literals = [number for number in (-3, 0.25, 0.5, 2, 7) if (low is None or low < number)]
        literals = [number for number in literals if (high is None or number < high)][:2]
        literals = [2, 7] if spec.type is FieldType.INTEGER else literals
    if operator is Operator.BETWEEN or operator in LIST_OPERATORS:
        return [literals]
    references = [{"field": other, "times": 1.02} for other in comparable_fields(spec, operator)]
    return literals + references


EVERY = [
    (spec.name, operator.value, value)
    for spec in CATALOGUE.values()
    for operator in Operator
    if operator in suitable_operators(spec)
    for value in values_for(spec, operator)
]


def test_every_comparison_of_every_field_has_words_of_its_own():
    """No two comparisons read alike, and none shows what only a program would write."""
    seen = {}
    for field, operator, value in EVERY:
        words = clause(field, operator, value)
        plain = words
        for choice in CATALOGUE[field].choices:
            plain = plain.replace(choice, "")
        assert not {"_", "{", "}"} & set(plain) and "None" not in plain and "  " not in words, words
        assert words not in seen, (seen.get(words), (field, operator, value))
        seen[words] = (field, operator, value)
    assert len(seen) > 1000


def test_a_field_without_words_of_its_own_is_told_by_its_name(monkeypatch):
    monkeypatch.setattr(phrases, "PHRASES", {})
    for (field, operator, value), _ in zip(EVERY[::7], range(200), strict=False):
        words = clause(field, operator, value)
        assert words.startswith("the " + field.replace("_", " ") + " "), words


def test_the_words_are_of_fields_that_exist():
    assert set(phrases.PHRASES) <= set(CATALOGUE)


def test_bar_operators_say_that_something_happens():
    happening = dict.fromkeys(BAR_OPERATORS, ("crosses", "changes"))
    for operator, words in happening.items():
        assert any(word in clause("rsi", operator.value, 50) for word in words)
