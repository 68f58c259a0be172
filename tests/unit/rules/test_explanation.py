"""Why a rule fires or not: fact, threshold and outcome of each condition, and one sentence."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from rules.core.explanation import explain, explain_rule
from rules.core.facts import MarketFacts, PortfolioFacts
from tests.harness.scenes import scenes, sources

MARKET = MarketFacts(
    symbols=("AAPL", "MSFT"),
    values={
        "price": np.array([105.0, 95.0]),
        "sma_50": np.array([100.0, 100.0]),
        "ai_recommendation": np.array([4.0, np.nan]),
        "confidence_score": np.array([0.85, np.nan]),
        "time_of_day": np.array([585.0, 585.0]),
    },
    completed={"rsi": (np.array([28.0, np.nan]), np.array([31.5, 40.0]))},
)
ALICE = PortfolioFacts(
    {"portfolio_cash_percentage": 52.5, "portfolio_equity": 1_234_567.0},
    {"MSFT": {"position_pnl_percentage": -6.25}},
    None,
)
STRONG = {"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"}
SURE = {"field": "confidence_score", "operator": "greater_than", "value": 0.8}
TREND = {"field": "price", "operator": "greater_than", "value": {"field": "sma_50", "times": 1.02}}


def told(*conditions, symbol="AAPL"):
    return explain(list(conditions), market=MARKET, portfolio=ALICE, symbol=symbol)


def test_each_condition_shows_fact_threshold_and_outcome():
    assert told(STRONG, {"not": SURE}).as_dict() == {
        "outcome": False,
        "sentence": "Not true for AAPL: confidence score is 0.85, above 0.8.",
        "conditions": {
            "all": [
                {
                    "field": "ai_recommendation",
                    "operator": "equals",
                    "fact": "STRONG_BUY",
                    "threshold": "STRONG_BUY",
                    "outcome": True,
                },
                {
                    "not": {
                        "field": "confidence_score",
                        "operator": "greater_than",
                        "fact": 0.85,
                        "threshold": 0.8,
                        "outcome": True,
                    },
                    "outcome": False,
                },
            ],
            "outcome": False,
        },
    }


def test_a_reference_shows_the_other_field_and_its_scaled_value():
    node = told(TREND).tree["all"][0]
    assert node["fact"] == 105
    assert node["threshold"] == 102
    assert node["compared_with"] == {"field": "sma_50", "times": 1.02}


def test_bars_show_both_values():
    crossing = {"field": "rsi", "operator": "crosses_above", "value": 30}
    node = told(crossing).tree["all"][0]
    assert node["fact"] == {"previous": 28, "last": 31.5}
    assert node["threshold"] == {"previous": 30, "last": 30}


@pytest.mark.parametrize(
    ("condition", "symbol", "sentence"),
    [
        (TREND, "AAPL", "True for AAPL: price is 105, above 1.02 times sma 50 (102)."),
        (TREND, "MSFT", "Not true for MSFT: price is 95, not above 1.02 times sma 50 (102)."),
        (STRONG, "MSFT", "Unknown for MSFT: ai recommendation is unknown."),
        (
            {"any": [STRONG, SURE]},
            "AAPL",
            "True for AAPL: ai recommendation is STRONG_BUY, equal to STRONG_BUY, and "
            "confidence score is 0.85, above 0.8.",
        ),
        (
            {"field": "time_of_day", "operator": "between", "value": ["10:00", "12:00"]},
            "AAPL",
            "Not true for AAPL: time of day is 09:45, not between 10:00 and 12:00.",
        ),
        (
            {"field": "rsi", "operator": "crosses_above", "value": 30},
            "AAPL",
            "True for AAPL: rsi is 31.5 after 28, crossing above 30.",
        ),
        (
            {"field": "rsi", "operator": "crosses_above", "value": 30},
            "MSFT",
            "Unknown for MSFT: rsi is unknown.",
        ),
        (
            {"field": "portfolio_equity", "operator": "greater_than", "value": 1_000_000},
            "AAPL",
            "True for AAPL: portfolio equity is 1,234,567, above 1,000,000.",
        ),
        (
            {"field": "position_quantity", "operator": "less_than", "value": 100},
            "AAPL",
            "True for AAPL: position quantity is 0, below 100.",
        ),
        (
            {"field": "price", "operator": "less_than", "value": {"field": "atr"}},
            "AAPL",
            "Unknown for AAPL: atr is unknown.",
        ),
        (
            {"field": "ai_recommendation", "operator": "in", "value": ["SELL", "HOLD"]},
            "AAPL",
            "Not true for AAPL: ai recommendation is STRONG_BUY, not one of SELL, HOLD.",
        ),
        (
            {"field": "position_pnl_percentage", "operator": "less_than", "value": -5},
            "MSFT",
            "True for MSFT: position pnl percentage is -6.25, below -5.",
        ),
    ],
)
def test_one_sentence_names_what_decided(condition, symbol, sentence):
    assert told(condition, symbol=symbol).sentence == sentence


@pytest.mark.parametrize(
    ("operator", "value", "true", "not_true"),
    [
        ("equals", 105, "105, equal to 105", "95, not equal to 105"),
        ("not_equals", 95, "105, different from 95", "95, not different from 95"),
        ("greater_than", 100, "105, above 100", "95, not above 100"),
        ("greater_or_equal", 105, "105, at least 105", "95, not at least 105"),
        ("less_or_equal", 110, "105, at most 110", None),
        ("less_than", 100, None, "105, not below 100"),
        ("between", [100, 110], "105, between 100 and 110", "95, not between 100 and 110"),
        ("in", [105, 106], "105, one of 105, 106", "95, not one of 105, 106"),
        ("not_in", [95, 96], "105, none of 95, 96", "95, not none of 95, 96"),
        ("crosses_above", 104, "105 after 103, crossing above 104", "95 after 97, not crossing above 104"),
        ("crosses_below", 96, "95 after 97, crossing below 96", "105 after 103, not crossing below 96"),
        ("changed_to", 105, "105 after 103, changing to 105", "95 after 97, not changing to 105"),
    ],
)
def test_every_operator_has_a_sentence_for_each_outcome(operator, value, true, not_true):
    market = MarketFacts(
        symbols=("AAPL", "MSFT", "XOM"),
        values={"price": np.array([105.0, 95.0, np.nan])},
        completed={"price": (np.array([103.0, 97.0, np.nan]), np.array([105.0, 95.0, 80.0]))},
    )
    condition = {"field": "price", "operator": operator, "value": value}
    *told, unknown = [
        explain([condition], market=market, portfolio=ALICE, symbol=symbol).sentence
        for symbol in market.symbols
    ]
    endings = {sentence.partition(" for ")[0]: [] for sentence in told}
    for sentence in told:
        endings[sentence.partition(" for ")[0]].append(sentence.partition(": ")[2])
    assert true is None or f"price is {true}." in endings["True"]
    assert not_true is None or f"price is {not_true}." in endings["Not true"]
    assert unknown == "Unknown for XOM: price is unknown."


def test_a_difference_in_the_last_bit_is_not_rounded_away():
    just_above = MarketFacts(("AAPL",), {"price": np.array([np.nextafter(100.0, np.inf)])}, {})
    above = {"field": "price", "operator": "greater_than", "value": 100}
    told_exactly = explain([above], market=just_above, portfolio=ALICE, symbol="AAPL")
    assert told_exactly.sentence == "True for AAPL: price is 100.00000000000001, above 100."


def outcome_of(tree):
    """What a node of the tree must come to by Kleene's logic, from what its comparisons say."""
    if "not" in tree:
        inner = outcome_of(tree["not"])
        return None if inner is None else not inner
    for group, decisive in (("all", False), ("any", True)):
        if group in tree:
            outcomes = [outcome_of(child) for child in tree[group]]
            return decisive if decisive in outcomes else None if None in outcomes else not decisive
    return tree["outcome"]


def same_shape(tree, node):
    """Whether the tree tells the conditions node by node, each with its outcome."""
    assert tree["outcome"] in (True, False, None)
    for group in ("all", "any"):
        if group in node:
            assert len(tree[group]) == len(node[group])
            return all(same_shape(*pair) for pair in zip(tree[group], node[group], strict=True))
    if "not" in node:
        return same_shape(tree["not"], node["not"])
    assert {"fact", "threshold"} <= tree.keys()
    return (tree["field"], tree["operator"]) == (node["field"], node["operator"])


@settings(max_examples=300, deadline=None)
@given(scenes(sources(("alice",), rules_max=1), owners=("alice",)))
def test_every_explanation_has_a_tree_that_comes_to_its_outcome_and_one_sentence(scene):
    (rule, *_) = scene.rules
    for symbol in scene.market.symbols:
        explanation = explain(
            rule.conditions, market=scene.market, portfolio=scene.owners["alice"], symbol=symbol
        )
        assert explanation.outcome is outcome_of(explanation.tree)
        assert same_shape(explanation.tree, {"all": rule.conditions})
        assert json.loads(json.dumps(explanation.as_dict(), allow_nan=False)) == explanation.as_dict()
        verdict = {True: "True", False: "Not true", None: "Unknown"}[explanation.outcome]
        assert explanation.sentence.startswith(f"{verdict} for {symbol}: ")
        assert explanation.sentence.endswith(".") and ". " not in explanation.sentence
        assert not any(word in explanation.sentence for word in ("None", "nan", "inf ", "_ ", "{"))


def test_an_explanation_is_plain_json_even_where_facts_are_missing():
    everything = told(
        STRONG, SURE, TREND, {"field": "rsi", "operator": "crosses_above", "value": 30}, symbol="MSFT"
    )
    text = json.dumps(everything.as_dict(), allow_nan=False)
    assert json.loads(text)["conditions"]["all"][0]["fact"] is None


def rule_told(rule_type, symbol, *, universe=None, trades=True, conditions=(TREND,), schedule=None):
    portfolio = PortfolioFacts(ALICE.values, ALICE.positions, universe)
    return explain_rule(
        rule_type=rule_type,
        conditions=list(conditions),
        trades=trades,
        market=MARKET,
        portfolio=portfolio,
        symbol=symbol,
        schedule=schedule,
    )


MORNING, LATER = {"from": "09:30", "to": "12:00"}, {"from": "10:00"}
CASH = {"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 50}


def test_a_schedule_is_told_beside_the_conditions():
    in_time = rule_told("entry", "AAPL", schedule=MORNING)
    assert in_time.sentence == (
        "True for AAPL: price is 105, above 1.02 times sma 50 (102), and "
        "time of day is 09:45, between 09:30 and 12:00."
    )
    assert in_time.as_dict()["schedule"]["all"][0]["outcome"] is True
    assert "schedule" not in rule_told("entry", "AAPL").as_dict()


def test_a_rule_outside_its_schedule_says_so():
    too_early = rule_told("entry", "AAPL", schedule=LATER)
    assert too_early.outcome is False
    assert too_early.sentence == "Not true for AAPL: time of day is 09:45, not at least 10:00."


def test_a_schedule_that_nobody_can_tell_leaves_the_rule_unknown():
    closed = rule_told("entry", "AAPL", schedule={"minutes_after_open": 5})
    assert closed.outcome is None
    assert closed.sentence == "Unknown for AAPL: minutes since open is unknown."


@pytest.mark.parametrize(
    ("universe", "schedule", "outcome", "reason"),
    [
        (None, MORNING, True, "time of day is 09:45, between 09:30 and 12:00"),
        (None, LATER, False, "time of day is 09:45, not at least 10:00"),
        (None, {"minutes_after_open": 5}, None, "minutes since open is unknown"),
        (frozenset({"GONE"}), MORNING, False, "no symbol of the universe"),
    ],
    ids=["one symbol will do", "no symbol", "unknown", "no symbol that has a clock"],
)
def test_a_rule_about_the_portfolio_keeps_its_schedule_at_any_symbol(universe, schedule, outcome, reason):
    told_for = rule_told("risk", None, universe=universe, conditions=[CASH], schedule=schedule)
    assert told_for.outcome is outcome
    assert told_for.sentence.split(" for ")[1].startswith("the portfolio: ") and reason in told_for.sentence


def test_a_rule_says_why_it_does_not_look_at_a_symbol():
    assert "not held" in rule_told("exit", "AAPL").sentence
    assert "outside the universe" in rule_told("entry", "AAPL", universe=frozenset({"MSFT"})).sentence
    assert "market snapshot" in rule_told("entry", "GONE").sentence
    assert "symbol by symbol" in rule_told("entry", None).sentence
    for told_no in (rule_told("exit", "AAPL"), rule_told("entry", "GONE"), rule_told("risk", None)):
        assert told_no.outcome is False


def test_a_rule_about_the_portfolio_is_told_for_the_portfolio():
    cash = {"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 50}
    explanation = rule_told("risk", "AAPL", conditions=[cash])
    assert explanation.outcome is True
    assert explanation.sentence == "True for the portfolio: portfolio cash percentage is 52.5, above 50."
