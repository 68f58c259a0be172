"""The page on the rule language is what the language makes of it, and its examples are accepted."""

import json
import re
from pathlib import Path

import pytest

from rules.core.action_checks import BUY_ONLY, REDUCE
from rules.core.actions import ACTION_TYPES, METHODS_OF, ORDER_TYPES, TRADE_TYPES, TYPES_OF
from rules.core.cooldown import COOLDOWN_KEYS
from rules.core.fields import CATALOGUE
from rules.core.language import Operator
from rules.core.schedule import SCHEDULE_KEYS
from rules.core.validation import check_rule
from rules.documentation import rule_language
from trading.core.kelly import ROUND_TRIPS_MIN
from trading.core.support import unsupported

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "rule-language.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]


def whole(example):
    """The example as a rule, or in the smallest rule that it can stand in."""
    if "conditions" in example:
        return example
    rule = {
        "name": "Example",
        "rule_type": "entry",
        "conditions": [{"field": "rsi", "operator": "less_than", "value": 30}],
        "actions": [{"type": "alert", "message": "Look"}],
    }
    if "type" in example:
        rule_type = next(rule_type for rule_type, kinds in TYPES_OF.items() if example["type"] in kinds)
        return rule | {"rule_type": rule_type.value, "actions": [example]}
    if set(example) <= set(SCHEDULE_KEYS):
        return rule | {"schedule": example}
    if set(example) <= set(COOLDOWN_KEYS):
        return rule | {"cooldown": example}
    return rule | {"conditions": [example]}


def test_the_page_is_up_to_date():
    assert rule_language() == TEXT, "run: python -m rules.documentation > docs/rule-language.md"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: ",".join(example))
def test_every_example_is_accepted(example):
    assert check_rule(whole(example)).errors == ()


def test_there_is_an_example_of_each_kind_of_node_and_action():
    assert len(EXAMPLES) > 10
    words = json.dumps(EXAMPLES)
    for word in (*ACTION_TYPES, "all", "any", "not", "times", "schedule", "cooldown"):
        assert f'"{word}"' in words, word


def test_every_word_of_the_language_is_explained():
    words = {*CATALOGUE, *Operator, *ACTION_TYPES, *SCHEDULE_KEYS, *BUY_ONLY, *REDUCE}
    words |= {method for methods in METHODS_OF.values() for method in methods}
    missing = sorted(word for word in words if f"| `{word}`" not in TEXT and f"### {word}" not in TEXT)
    # "to" stands behind "from" in one row, buy and sell share a heading
    assert set(missing) <= {"to", "sell"}


def test_the_trading_room_carries_out_every_word():
    words = {("sizing_method", method) for methods in METHODS_OF.values() for method in methods}
    words |= {("order_type", order_type) for order_type in ORDER_TYPES}
    words |= {("type", kind) for kind in ACTION_TYPES if kind not in TRADE_TYPES}
    words |= {(key, 5) for key in (*BUY_ONLY, *REDUCE, "limit_offset_bps")}
    assert not any(unsupported([{"type": "buy", key: value}]) for key, value in words)
    assert "not carried out" not in TEXT.lower()


def test_the_page_tells_how_many_trades_kelly_needs():
    assert f"with fewer than {ROUND_TRIPS_MIN} it buys nothing" in " ".join(TEXT.split())


def test_the_readme_leads_to_the_page():
    assert "docs/rule-language.md" in (ROOT / "README.md").read_text(encoding="utf-8")
