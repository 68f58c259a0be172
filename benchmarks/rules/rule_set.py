"""The mixed set of rules: what people ask for, in the shares in which they might.

60 % entry rules (half of them the specification's, half of other kinds), 25 %
exits, 5 % risk rules and 10 % that only alert; a tenth of all has a schedule.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from benchmarks.rules import rule_kinds
from benchmarks.rules.rule_kinds import Condition, Rule
from benchmarks.rules.world import owner_names
from rules.core.actions import asks_for_trade, blocks_entries
from rules.core.program import RuleSource
from rules.examples import EXAMPLES

Actions = Sequence[Mapping[str, Any]]

_BUY: Actions = json.loads(EXAMPLES[0])["actions"]
_SELL: Actions = [{"type": "sell", "sizing_method": "full_position"}]
_BLOCK: Actions = [{"type": "block_entries"}]
_ALERT: Actions = [{"type": "alert", "message": "Have a look."}]
SCHEDULED_SHARE = 0.1
# Few different ones, as people have: the hours of the day, days of the week, away from open and close, the night.
SCHEDULES: Sequence[Mapping[str, Any]] = (
    {"from": "09:45", "to": "15:30"},
    {"weekdays": ["MONDAY", "TUESDAY", "THURSDAY"], "from": "10:00"},
    {"minutes_after_open": 60, "minutes_before_close": 30},
    {"from": "22:00", "to": "11:30"},
)


def specified_entry(threshold: float) -> Rule:
    """The specification's entry rule with another confidence threshold."""
    rule: Rule = json.loads(EXAMPLES[0])
    (confidence,) = (part for part in rule["conditions"] if part["field"] == "confidence_score")
    confidence["value"] = threshold
    return rule


def mixed_rules(seed: int, count: int, *, owned_share: float = 0.0) -> list[Rule]:
    """So many rules, valid as the API takes them.

    `owned_share` of them are entry rules on facts of every pair of owner and
    symbol, or with an alternative between a portfolio's and the market's facts.
    """
    return list(_mixed(Random(seed), count, owned_share))


def sources_of(rules: Sequence[Mapping[str, Any]], *, owners: int) -> list[RuleSource]:
    """The rules as the program takes them: keyed by their place, dealt out to the owners in turn."""
    names = owner_names(owners)
    return [
        RuleSource(
            key=place,
            owner=names[place % owners],
            rule_type=rule.get("rule_type", rule.get("type", "")),
            conditions=rule["conditions"],
            trades=asks_for_trade(rule["actions"]),
            schedule=rule.get("schedule"),
            blocks=blocks_entries(rule["actions"]),
        )
        for place, rule in enumerate(rules)
    ]


def comparisons_in(node: Any) -> Iterator[Condition]:
    """Every comparison of a list of conditions, at any depth."""
    if isinstance(node, list):
        for part in node:
            yield from comparisons_in(part)
    elif "field" in node:
        yield node
    else:
        (part,) = node.values()
        yield from comparisons_in(part)


def _mixed(rng: Random, count: int, owned_share: float) -> Iterator[Rule]:
    kinds: Sequence[tuple[float, str, Actions, Callable[[Random], list[Condition]]]] = (
        (0.30, "entry", _BUY, rule_kinds.specified),
        (0.30, "entry", _BUY, rule_kinds.other_entry),
        (0.25, "exit", _SELL, rule_kinds.exits),
        (0.04, "risk", _SELL, rule_kinds.risk),
        (0.01, "risk", _BLOCK, rule_kinds.guard),
        (0.10, "entry", _ALERT, rule_kinds.watch),
    )
    shares = [share for share, *_ in kinds]
    for number in range(count):
        _, rule_type, actions, write = rng.choices(kinds, shares)[0]
        if rng.random() < owned_share:
            rule_type, actions, write = "entry", _BUY, rule_kinds.owned_entry
        rule: Rule = {
            "name": f"Rule {number}",
            "rule_type": rule_type,
            "conditions": write(rng),
            "actions": actions,
        }
        if rng.random() < SCHEDULED_SHARE:
            rule["schedule"] = rng.choice(SCHEDULES)
        yield rule
