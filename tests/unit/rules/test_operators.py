"""What each operator means, told by both engines: the program over vectors and the explanation."""

import math

import numpy as np
import pytest

from rules.core.conditions import parse_conditions
from rules.core.explanation import explain
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.program import RuleSource, compile_program

NOBODY = PortfolioFacts({}, {}, None)
UNKNOWN = math.nan


def verdict(condition, facts=(), bars=()):
    """Told twice and equal; the program tells true, and that the negation is true, so unknown is neither."""
    market = MarketFacts(
        symbols=("AAPL",),
        values={name: np.array([value], dtype=float) for name, value in dict(facts).items()},
        completed={
            name: (np.array([previous], dtype=float), np.array([last], dtype=float))
            for name, (previous, last) in dict(bars).items()
        },
    )
    rules = [
        RuleSource("true", "alice", "entry", [condition]),
        RuleSource("false", "alice", "entry", [{"not": condition}]),
    ]
    told = [triggered.key for triggered in compile_program(rules).evaluate(market, {"alice": NOBODY})]
    outcome = {"true": True, "false": False}[told[0]] if told else None
    assert explain([condition], market=market, portfolio=NOBODY, symbol="AAPL").outcome is outcome
    return outcome


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("equals", False, True, False),
        ("not_equals", True, False, True),
        ("greater_than", False, False, True),
        ("greater_or_equal", False, True, True),
        ("less_than", True, False, False),
        ("less_or_equal", True, True, False),
    ],
)
def test_comparisons_with_a_number(operator, below, equal, above):
    condition = {"field": "price", "operator": operator, "value": 100}
    assert verdict(condition, {"price": 99.99}) is below
    assert verdict(condition, {"price": 100}) is equal
    assert verdict(condition, {"price": 100.01}) is above
    for missing in (UNKNOWN, math.inf, -math.inf):
        assert verdict(condition, {"price": missing}) is None
    assert verdict(condition) is None, "a field that nobody supplied"


@pytest.mark.parametrize(("price", "inside"), [(9.99, False), (10, True), (20, True), (20.01, False)])
def test_between_has_both_ends(price, inside):
    assert verdict({"field": "price", "operator": "between", "value": [10, 20]}, {"price": price}) is inside


def test_in_and_not_in():
    buying = {"field": "ai_recommendation", "operator": "in", "value": ["BUY", "STRONG_BUY"]}
    other = {**buying, "operator": "not_in"}
    assert [verdict(buying, {"ai_recommendation": code}) for code in range(5)] == [False] * 3 + [True] * 2
    assert [verdict(other, {"ai_recommendation": code}) for code in range(5)] == [True] * 3 + [False] * 2
    assert verdict(other, {"ai_recommendation": UNKNOWN}) is None


def test_recommendations_are_ordered():
    at_least_buy = {"field": "ai_recommendation", "operator": "greater_or_equal", "value": "BUY"}
    assert [verdict(at_least_buy, {"ai_recommendation": code}) for code in range(5)] == [False] * 3 + [
        True
    ] * 2


def test_times_and_weekdays():
    morning = {"field": "time_of_day", "operator": "between", "value": ["09:30", "12:00"]}
    assert verdict(morning, {"time_of_day": 570.0}) is True
    assert verdict(morning, {"time_of_day": 720.5}) is False
    friday = {"field": "weekday", "operator": "equals", "value": "FRIDAY"}
    assert verdict(friday, {"weekday": 4.0}) is True
    assert verdict(friday, {"weekday": 0.0}) is False


def test_another_field_scaled():
    condition = {"field": "price", "operator": "greater_than", "value": {"field": "sma_50", "times": 1.02}}
    assert verdict(condition, {"price": 103, "sma_50": 100}) is True
    assert verdict(condition, {"price": 102, "sma_50": 100}) is False
    assert verdict(condition, {"price": 103, "sma_50": UNKNOWN}) is None
    assert verdict(condition, {"price": UNKNOWN, "sma_50": 100}) is None
    assert verdict(condition, {"price": 103, "sma_50": 1.79e308}) is None, "beyond float64"


@pytest.mark.parametrize(
    ("operator", "previous", "last", "expected"),
    [
        ("crosses_above", 29, 31, True),
        ("crosses_above", 30, 31, True),  # from the line itself
        ("crosses_above", 29, 30, False),  # not yet above
        ("crosses_above", 31, 32, False),  # was above already
        ("crosses_below", 31, 29, True),
        ("crosses_below", 30, 29, True),
        ("crosses_below", 31, 30, False),
        ("crosses_below", 29, 28, False),
        ("changed_to", 29, 30, True),
        ("changed_to", 30, 30, False),
        ("changed_to", 29, 31, False),
        ("crosses_above", UNKNOWN, 31, None),  # before there are two completed bars
        ("crosses_above", 31, UNKNOWN, None),
        ("crosses_below", UNKNOWN, 29, None),
        ("changed_to", UNKNOWN, 30, None),
    ],
)
def test_crossings_compare_the_last_two_completed_bars(operator, previous, last, expected):
    condition = {"field": "rsi", "operator": operator, "value": 30}
    # The present value says the opposite: it must not matter.
    assert verdict(condition, {"rsi": 30}, {"rsi": (previous, last)}) is expected


def test_a_golden_cross_compares_two_moving_averages_at_both_bars():
    condition = {"field": "sma_50", "operator": "crosses_above", "value": {"field": "sma_200"}}
    assert verdict(condition, bars={"sma_50": (99, 101), "sma_200": (100, 100)}) is True
    assert verdict(condition, bars={"sma_50": (99, 101), "sma_200": (98, 100)}) is False
    assert verdict(condition, bars={"sma_50": (99, 101), "sma_200": (UNKNOWN, 100)}) is None
    assert verdict(condition, {"sma_50": 101, "sma_200": 100}) is None, "no completed bars at all"


TRUE = {"field": "price", "operator": "greater_than", "value": 50}
FALSE = {"field": "price", "operator": "less_than", "value": 50}
OPEN = {"field": "rsi", "operator": "less_than", "value": 50}


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (TRUE, TRUE, True, True),
        (TRUE, FALSE, False, True),
        (FALSE, FALSE, False, False),
        (TRUE, OPEN, None, True),  # one true decides "any"
        (FALSE, OPEN, False, None),  # one false decides "all"
        (OPEN, OPEN, None, None),
    ],
)
def test_logic_is_three_valued(one, other, both, either):
    facts = {"price": 100, "rsi": UNKNOWN}
    for nodes in ([one, other], [other, one]):
        assert verdict({"all": nodes}, facts) is both
        assert verdict({"any": nodes}, facts) is either
        assert verdict({"not": {"all": nodes}}, facts) is (None if both is None else not both)


def test_equal_conditions_are_equal_however_they_are_written():
    one = {"field": "ai_recommendation", "operator": "in", "value": ["BUY", "HOLD"]}
    other = {"field": "ai_recommendation", "operator": "in", "value": ["HOLD", "BUY", "HOLD"]}
    assert parse_conditions([one]) == parse_conditions([other])
    five, also_five = ({"field": "price", "operator": "equals", "value": value} for value in (5, 5.0))
    assert hash(parse_conditions([five])) == hash(parse_conditions([also_five]))
