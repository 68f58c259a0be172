"""Rules with one mistake each: a good rule in which one place was spoiled.

`MISTAKES` lists every kind of mistake by name; `bad_rules()` draws a name and a rule.
`NOT_JSON` names the mistakes that a JSON text cannot carry (NaN, infinities).
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from rules.core.language import CHOICES_MAX, CONDITIONS_MAX, NESTING_MAX, TESTS_MAX
from tests.harness import bad_parts
from tests.harness.bad_parts import PRICE
from tests.harness.rules import RULE_TYPES, Json, depth_of, rules

NOT_JSON = frozenset({"not_finite"})
Spoil = Callable[[st.DrawFn, Json], None]


class Bad(NamedTuple):
    """`mistake` is a key of MISTAKES."""

    mistake: str
    rule: Json


def objects_of(part: Any) -> Iterator[Json]:
    """Every JSON object in a rule, the rule itself first."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from objects_of(value)
    elif isinstance(part, list):
        for item in part:
            yield from objects_of(item)


def _comparisons_of(rule: Json) -> list[Json]:
    return [part for part in objects_of(rule["conditions"]) if "operator" in part]


def _rule_type(rule: Json) -> str:
    return str(rule.get("rule_type", rule.get("type")))


def _replace_comparison(bad: list[Json]) -> Spoil:
    def spoil(draw: st.DrawFn, rule: Json) -> None:
        place = draw(st.sampled_from(_comparisons_of(rule)))
        place.clear()
        place.update(copy.deepcopy(draw(st.sampled_from(bad))))

    return spoil


def _replace_part(bad: list[tuple[str, Any]]) -> Spoil:
    def spoil(draw: st.DrawFn, rule: Json) -> None:
        key, value = draw(st.sampled_from(bad))
        rule[key] = copy.deepcopy(value)

    return spoil


def _bad_value(draw: st.DrawFn, rule: Json) -> None:
    place = draw(st.sampled_from(_comparisons_of(rule)))
    place["value"] = copy.deepcopy(draw(st.sampled_from(bad_parts.VALUES)))


def _unheard_of_key(draw: st.DrawFn, rule: Json) -> None:
    draw(st.sampled_from(list(objects_of(rule))))["unheard_of"] = 1


def _missing_key(draw: st.DrawFn, rule: Json) -> None:
    required = [(rule, key) for key in ("name", "conditions", "actions")]
    required += [(place, key) for place in _comparisons_of(rule) for key in ("field", "operator", "value")]
    required += [
        (action, key)
        for action in rule["actions"]
        for key in ("type", "sizing_method", "message")
        if key in action
    ]
    place, key = draw(st.sampled_from(required))
    del place[key]


def _no_rule_type(draw: st.DrawFn, rule: Json) -> None:
    rule.pop("rule_type", None)
    rule.pop("type", None)


def _bad_rule_type(draw: st.DrawFn, rule: Json) -> None:
    _no_rule_type(draw, rule)
    key = draw(st.sampled_from(("rule_type", "type")))
    rule[key] = draw(st.sampled_from(("buy", "Entry", None, ["entry"], "")))


def _two_rule_types(draw: st.DrawFn, rule: Json) -> None:
    rule["rule_type"] = _rule_type(rule)
    rule["type"] = draw(st.sampled_from(sorted(set(RULE_TYPES) - {rule["rule_type"]})))


def _bad_action(draw: st.DrawFn, rule: Json) -> None:
    bad = copy.deepcopy(draw(st.sampled_from(bad_parts.ACTIONS[_rule_type(rule)])))
    rule["actions"][draw(st.integers(0, len(rule["actions"]) - 1))] = bad


def _too_many_of_a_kind(draw: st.DrawFn, rule: Json) -> None:
    rule["actions"] = copy.deepcopy(draw(st.sampled_from(bad_parts.TOO_MANY[_rule_type(rule)])))


def _part_sold_at_every_look(draw: st.DrawFn, rule: Json) -> None:
    """A part of the rest, and of the rest again: without a cooldown nothing would end it."""
    _no_rule_type(draw, rule)
    rule.update({"rule_type": "risk", "actions": [{"type": "reduce", "percentage": 50}]})
    rule.pop("cooldown", None)
    if draw(st.booleans()):
        rule["cooldown"] = None


def _block_that_rests(draw: st.DrawFn, rule: Json) -> None:
    """It never acts, so there is nothing to rest from."""
    _no_rule_type(draw, rule)
    rule.update({"rule_type": "risk", "actions": [{"type": "block_entries"}], "cooldown": {"minutes": 60}})


def _too_deep(draw: st.DrawFn, rule: Json) -> None:
    place = draw(st.integers(0, len(rule["conditions"]) - 1))
    node = rule["conditions"][place]
    while depth_of(node) <= NESTING_MAX:
        node = {"not": node}
    rule["conditions"][place] = node


def _too_many_conditions(draw: st.DrawFn, rule: Json) -> None:
    half = [PRICE] * (CONDITIONS_MAX // 2)
    rule["conditions"] += [{draw(st.sampled_from(("all", "any"))): half}, {"any": half}]


def _too_many_values(draw: st.DrawFn, rule: Json) -> None:
    some = {
        "field": "price",
        "operator": draw(st.sampled_from(("in", "not_in"))),
        "value": list(range(CHOICES_MAX)),
    }
    rule["conditions"] += [some] * (TESTS_MAX // CHOICES_MAX)


MISTAKES: Mapping[str, Spoil] = {
    **{name: _replace_comparison(bad) for name, bad in bad_parts.COMPARISONS.items()},
    **{name: _replace_part(bad) for name, bad in bad_parts.PARTS.items()},
    "bad_value": _bad_value,
    "unheard_of_key": _unheard_of_key,
    "missing_key": _missing_key,
    "no_rule_type": _no_rule_type,
    "bad_rule_type": _bad_rule_type,
    "two_rule_types": _two_rule_types,
    "bad_action": _bad_action,
    "too_many_of_a_kind": _too_many_of_a_kind,
    "part_sold_at_every_look": _part_sold_at_every_look,
    "block_that_rests": _block_that_rests,
    "too_deep": _too_deep,
    "too_many_conditions": _too_many_conditions,
    "too_many_values": _too_many_values,
}


@st.composite
def bad_rules(draw: st.DrawFn, *mistakes: str) -> Bad:
    """A rule with one mistake, of those named or of any kind that JSON can carry."""
    mistake = draw(st.sampled_from(mistakes or sorted(set(MISTAKES) - NOT_JSON)))
    rule = copy.deepcopy(draw(rules()))
    MISTAKES[mistake](draw, rule)
    return Bad(mistake, rule)
