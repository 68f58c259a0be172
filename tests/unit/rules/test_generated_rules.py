"""A guard on every test that uses generated rules: the good ones are good, the bad ones are bad."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.core.validation import check_rule
from tests.harness.bad_rules import MISTAKES, NOT_JSON, bad_rules
from tests.harness.rules import rules


@settings(max_examples=500, deadline=None)
@given(rules())
def test_a_good_rule_is_accepted_and_its_stored_form_is_the_same_rule(rule):
    result = check_rule(rule)
    assert result.errors == ()
    assert check_rule(result.rule) == result
    assert json.loads(json.dumps(result.rule, allow_nan=False)) == result.rule


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_each_mistake_is_refused_with_reason_and_cure(mistake, data):
    bad = data.draw(bad_rules(mistake))
    result = check_rule(bad.rule)
    assert result.rule is None
    for fault in result.errors:
        assert fault.message.endswith((".", "?")) and fault.suggestion, fault


@settings(max_examples=200, deadline=None)
@given(bad_rules())
def test_a_bad_rule_is_a_json_text(bad):
    assert bad.mistake not in NOT_JSON
    assert json.loads(json.dumps(bad.rule, allow_nan=False)) == bad.rule
