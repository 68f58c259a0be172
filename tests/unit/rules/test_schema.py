"""The JSON Schema is the validator's outer hull: it never refuses a good rule, and lets few bad ones pass."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rules.core.fields import CATALOGUE
from rules.core.language import suitable_operators
from rules.core.schema import rule_schema
from rules.core.validation import check_rule
from rules.examples import EXAMPLES
from tests.harness.bad_rules import MISTAKES, NOT_JSON, bad_rules
from tests.harness.rules import rules

SCHEMA = Draft202012Validator(rule_schema())
# What a schema cannot see: levels, a count over all levels, and two values side by side.
BEYOND = {"too_deep", "too_many_conditions", "too_many_values", "low_above_high"}
ONE_MINUTE = {"from": "09:30", "to": "09:30"}
JSON_MISTAKES = sorted(set(MISTAKES) - NOT_JSON)
WRONG = (None, True, -1, 0, 1e16, 3.5, "", "X", [], ["X"], {}, {"field": "rsi"})


def test_it_is_a_valid_schema_in_plain_json():
    Draft202012Validator.check_schema(rule_schema())
    assert json.loads(json.dumps(rule_schema())) == rule_schema()


@pytest.mark.parametrize("text", EXAMPLES, ids=["entry", "stop loss"])
def test_the_specifications_rules_pass(text):
    SCHEMA.validate(json.loads(text))


def test_an_editor_finds_each_field_with_its_meaning_and_its_operators():
    for name, spec in CATALOGUE.items():
        definition = rule_schema()["$defs"][f"field_{name}"]
        assert spec.meaning in definition["description"]
        assert set(definition["properties"]["operator"]["enum"]) == suitable_operators(spec)


@settings(max_examples=300, deadline=None)
@given(rule=rules())
def test_what_the_validator_accepts_the_schema_accepts(rule):
    assert check_rule(rule).errors == ()
    SCHEMA.validate(rule)


@pytest.mark.parametrize("mistake", JSON_MISTAKES)
def test_each_kind_of_mistake_is_seen_by_both(mistake):
    @settings(max_examples=12, deadline=None)
    @given(bad=bad_rules(mistake))
    def judge(bad):
        assert check_rule(bad.rule).rule is None
        if mistake not in BEYOND and bad.rule.get("schedule") != ONE_MINUTE:
            assert not SCHEMA.is_valid(bad.rule)

    judge()


def places_of(part, path=()):
    """The path to every value inside a rule."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places_of(value, (*path, key))


@st.composite
def mutants(draw):
    """A good rule in which one value anywhere was replaced, or one key removed."""
    rule = copy.deepcopy(draw(rules()))
    *path, last = draw(st.sampled_from(list(places_of(rule))))
    place = rule
    for key in path:
        place = place[key]
    if isinstance(place, dict) and draw(st.integers(0, 3)) == 0:
        del place[last]
    else:
        place[last] = copy.deepcopy(draw(st.sampled_from(WRONG)))
    return rule


def test_what_the_schema_rejects_the_validator_rejects_and_little_passes_it():
    rejected, passed = 0, []

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(rule=mutants())
    def judge(rule):
        nonlocal rejected
        good, allowed = check_rule(rule).rule is not None, SCHEMA.is_valid(rule)
        assert allowed or not good, "the schema refuses what the validator takes"
        rejected += not allowed
        if allowed and not good:
            passed.append(rule)

    judge()
    assert rejected > 200
    assert len(passed) < rejected / 50, passed


def test_the_schema_names_the_place_of_a_mistake():
    rule = json.loads(EXAMPLES[0])
    rule["conditions"][1]["value"] = 80
    assert [list(error.absolute_path)[:2] for error in SCHEMA.iter_errors(rule)] == [["conditions", 1]]
