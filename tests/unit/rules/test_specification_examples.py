"""The specification's two rules, byte for byte, are valid and do what they say."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import rules
from rules.core.actions import ActionRequest, requests_of
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.program import RuleSource, compile_program
from rules.core.validation import check_rule

EXAMPLES = Path(rules.__file__).parent / "examples"
STRONG_BUY, BUY = 4.0, 3.0


def example(name):
    return json.loads((EXAMPLES / name).read_text())


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("ai_strong_buy_entry.json", "312a08e44631bcf281b1fc31dfb04723e5f8e0da13fcf2dc3fe7656252683217"),
        ("stop_loss_protection.json", "a0571a4059f7672e9e12f45acb01c74e94427b64296701f0ac5f8234add9ac5d"),
    ],
)
def test_the_files_are_the_specifications_text_byte_for_byte(name, digest):
    assert hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["ai_strong_buy_entry.json", "stop_loss_protection.json"])
def test_they_are_valid_and_stored_as_they_stand(name):
    raw = example(name)
    result = check_rule(raw)
    assert result.errors == ()
    assert result.rule["rule_type"] == raw["type"]
    for key in ("name", "conditions", "actions"):
        assert result.rule[key] == raw[key]


def verdicts(name, *, recommendation=STRONG_BUY, confidence=0.81, cash=11.0, pnl=None):
    rule = example(name)
    market = MarketFacts(
        symbols=("AAPL",),
        values={
            "ai_recommendation": np.array([recommendation]),
            "confidence_score": np.array([confidence]),
        },
        completed={},
    )
    positions = {} if pnl is None else {"AAPL": {"position_pnl_percentage": pnl}}
    portfolio = PortfolioFacts({"portfolio_cash_percentage": cash}, positions, None)
    source = RuleSource("rule", "alice", rule["type"], rule["conditions"])
    return compile_program([source]).evaluate(market, {"alice": portfolio})


FIRED = [("rule", "AAPL", "alice")]


def test_the_entry_rule_fires_when_all_three_conditions_hold():
    assert verdicts("ai_strong_buy_entry.json") == FIRED


@pytest.mark.parametrize(
    "facts",
    [
        {"recommendation": BUY},
        {"recommendation": np.nan},  # no recommendation
        {"confidence": 0.8},  # greater_than is strict
        {"confidence": np.nan},
        {"cash": 10.0},
        {"cash": np.nan},
    ],
)
def test_the_entry_rule_is_silent_when_one_fails_or_is_unknown(facts):
    assert verdicts("ai_strong_buy_entry.json", **facts) == []


@pytest.mark.parametrize(
    ("pnl", "expected"),
    [(-5.01, FIRED), (-5.0, []), (3.0, []), (np.nan, []), (None, [])],
)
def test_the_stop_loss_fires_below_minus_five_percent_of_a_held_position(pnl, expected):
    assert verdicts("stop_loss_protection.json", pnl=pnl) == expected


def test_the_entry_rule_asks_for_five_percent_up_to_ten():
    actions = example("ai_strong_buy_entry.json")["actions"]
    assert requests_of(actions, symbol="AAPL", held=()) == [
        ActionRequest("AAPL", "buy", "percentage", Decimal(5), None, Decimal(10), "market")
    ]


def test_the_stop_loss_asks_to_sell_everything():
    actions = example("stop_loss_protection.json")["actions"]
    assert requests_of(actions, symbol="AAPL", held=("AAPL",)) == [
        ActionRequest("AAPL", "sell", "full_position", None, None, None, "market")
    ]
