"""Why a rule fires or not: fact, threshold and outcome of each condition, and one sentence."""

import json

import numpy as np
import pytest

from rules.core.explanation import explain, explain_rule
from rules.core.facts import MarketFacts, PortfolioFacts

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


def test_an_explanation_is_plain_json_even_where_facts_are_missing():
    everything = told(
        STRONG, SURE, TREND, {"field": "rsi", "operator": "crosses_above", "value": 30}, symbol="MSFT"
    )
    text = json.dumps(everything.as_dict(), allow_nan=False)
    assert json.loads(text)["conditions"]["all"][0]["fact"] is None


def rule_told(rule_type, symbol, *, universe=None, trades=True, conditions=(TREND,)):
    portfolio = PortfolioFacts(ALICE.values, ALICE.positions, universe)
    return explain_rule(
        rule_type=rule_type,
        conditions=list(conditions),
        trades=trades,
        market=MARKET,
        portfolio=portfolio,
        symbol=symbol,
    )


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
