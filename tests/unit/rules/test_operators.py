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
    told = [key for key, _, _ in compile_program(rules).evaluate(market, {"alice": NOBODY})]
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


UP, DOWN = math.inf, -math.inf


@pytest.mark.parametrize(
    ("operator", "just_below", "equal", "just_above"),
    [
        ("equals", False, True, False),
        ("not_equals", True, False, True),
        ("greater_than", False, False, True),
        ("greater_or_equal", False, True, True),
        ("less_than", True, False, False),
        ("less_or_equal", True, True, False),
    ],
)
@pytest.mark.parametrize("threshold", [0.8, 0.1 + 0.2, 1e15, 5e-324], ids=str)
def test_comparisons_are_exact_to_the_last_bit(threshold, operator, just_below, equal, just_above):
    price = {"field": "price", "operator": operator, "value": threshold}
    for way, expected in ((DOWN, just_below), (UP, just_above)):
        assert verdict(price, {"price": math.nextafter(threshold, way)}) is expected
    assert verdict(price, {"price": threshold}) is equal


@pytest.mark.parametrize("fact", [0.0, -0.0], ids=str)
@pytest.mark.parametrize("threshold", [0, 0.0, -0.0], ids=str)
def test_zero_has_no_sign(fact, threshold):
    change = {"field": "change_percentage_1d", "value": threshold}
    for operator in ("equals", "greater_or_equal", "less_or_equal"):
        assert verdict({**change, "operator": operator}, {"change_percentage_1d": fact}) is True
    for operator in ("not_equals", "greater_than", "less_than"):
        assert verdict({**change, "operator": operator}, {"change_percentage_1d": fact}) is False
    among = {**change, "operator": "in", "value": [threshold, 5]}
    assert verdict(among, {"change_percentage_1d": fact}) is True
    other = {**change, "operator": "equals", "value": {"field": "change_percentage_5d", "times": -1}}
    assert verdict(other, {"change_percentage_1d": fact, "change_percentage_5d": 0.0}) is True


@pytest.mark.parametrize(
    ("price", "inside"),
    [
        (math.nextafter(10, DOWN), False),
        (10, True),
        (20, True),
        (math.nextafter(20, UP), False),
    ],
)
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


@pytest.mark.parametrize("times", [1.02, 0.1, 1 / 3, -0.5, -1e6, 5e-324], ids=str)
@pytest.mark.parametrize("average", [100.0, 0.3, 7e-300, -3.0], ids=str)
def test_a_tie_with_another_field_is_exact_to_the_last_bit(times, average):
    """The product as a float64 is the threshold: no tolerance, whatever the sign of the factor."""
    product = average * times
    change = {"field": "change_percentage_1d", "value": {"field": "change_percentage_5d", "times": times}}
    for fact, below, above in (
        (product, False, False),
        (math.nextafter(product, DOWN), True, False),
        (math.nextafter(product, UP), False, True),
    ):
        facts = {"change_percentage_1d": fact, "change_percentage_5d": average}
        assert verdict({**change, "operator": "less_than"}, facts) is below
        assert verdict({**change, "operator": "greater_than"}, facts) is above
        assert verdict({**change, "operator": "equals"}, facts) is not (below or above)


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
        ("changed_to", 30, UNKNOWN, None),
        ("crosses_above", 30, math.nextafter(30, UP), True),
        ("crosses_above", math.nextafter(30, UP), 31, False),
        ("crosses_below", 30, math.nextafter(30, DOWN), True),
        ("crosses_below", math.nextafter(30, DOWN), 29, False),
        ("changed_to", math.nextafter(30, UP), 30, True),
        ("changed_to", 29, math.nextafter(30, UP), False),
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


def test_a_recommendation_changes_to_a_class_at_a_completed_bar():
    condition = {"field": "ai_recommendation", "operator": "changed_to", "value": "STRONG_BUY"}
    hold, strong = 2.0, 4.0
    now = {"ai_recommendation": strong}
    assert verdict(condition, now, {"ai_recommendation": (hold, strong)}) is True
    assert verdict(condition, now, {"ai_recommendation": (strong, strong)}) is False
    assert verdict(condition, now, {"ai_recommendation": (strong, hold)}) is False
    assert verdict(condition, now, {"ai_recommendation": (UNKNOWN, strong)}) is None, "there was none before"
    assert verdict(condition, now) is None, "before there are two bars"


@pytest.mark.parametrize("operator", ["crosses_above", "crosses_below", "changed_to"])
def test_what_was_already_zero_does_not_change_its_sign(operator):
    condition = {"field": "change_percentage_1d", "operator": operator, "value": 0}
    for bars in ((-0.0, 0.0), (0.0, -0.0)):
        assert verdict(condition, bars={"change_percentage_1d": bars}) is False


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
