"""The catalogue says of every field what a writer, a form and the docs need."""

import json
from dataclasses import fields
from importlib import import_module

import pytest

from market.core.fields import FIELD_NAMES
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, RECOMMENDATIONS, FieldKind, FieldType
from rules.core.language import Operator, shown, suitable_operators
from trading.core.diversification import FIELDS as DIVERSIFICATION_FIELDS


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_every_field_is_fully_described(spec):
    assert CATALOGUE[spec.name] is spec
    assert spec.meaning.endswith(".")
    assert spec.unit and spec.formula and spec.reference
    import_module(spec.source)  # the module that computes it
    assert bool(spec.choices) == (spec.type in {FieldType.ORDERED_ENUM, FieldType.WEEKDAY})
    assert suitable_operators(spec)
    served = json.loads(json.dumps(spec.as_dict()))
    assert served["name"] == spec.name and served["reference"] == spec.reference
    assert served.keys() == {field.name for field in fields(spec)}


def test_market_fields_are_those_that_the_market_supplies():
    assert {name for name, spec in CATALOGUE.items() if spec.kind is FieldKind.MARKET} == set(FIELD_NAMES)


def test_only_of_what_is_counted_there_is_none_where_nothing_is_held():
    """What would be the profit of no position?"""
    known = {name: spec.where_not_held for name, spec in CATALOGUE.items() if spec.where_not_held is not None}
    assert known == {"position_quantity": 0}
    assert CATALOGUE["position_quantity"].kind is FieldKind.POSITION


def test_recommendations_rank_from_strong_sell_to_strong_buy():
    assert RECOMMENDATIONS == ("STRONG_SELL", "SELL", "HOLD", "BUY", "STRONG_BUY")
    assert CATALOGUE["ai_recommendation"].choices == RECOMMENDATIONS


def test_crossings_are_for_numbers_and_changes_for_everything_that_is_kept_for_completed_bars():
    crossings = {Operator.CROSSES_ABOVE, Operator.CROSSES_BELOW}
    for spec in CATALOGUE.values():
        suitable = suitable_operators(spec)
        assert (Operator.CHANGED_TO in suitable) == spec.completed_bars, spec.name
        assert bool(crossings & suitable) == (spec.completed_bars and spec.type in NUMERIC_TYPES), spec.name
    assert CATALOGUE["ai_recommendation"].completed_bars


def test_correlations_are_bounded_numbers():
    for name in ("max_correlation", "average_correlation"):
        spec = CATALOGUE[name]
        assert (spec.kind, spec.type, spec.unit) == (
            FieldKind.DIVERSIFICATION,
            FieldType.NUMBER,
            "correlation",
        )
        assert (spec.minimum, spec.maximum) == (-1, 1)


def test_diversification_fields_are_those_that_are_supplied():
    named = {name for name, spec in CATALOGUE.items() if spec.kind is FieldKind.DIVERSIFICATION}
    assert named == set(DIVERSIFICATION_FIELDS)


def test_every_operator_suits_some_field():
    assert frozenset().union(*map(suitable_operators, CATALOGUE.values())) == set(Operator)


@pytest.mark.parametrize(
    ("field", "number", "text"),
    [
        ("ai_recommendation", 4.0, "STRONG_BUY"),
        ("ai_recommendation", 7.0, 7),  # no class: shown as it came
        ("weekday", 0.0, "MONDAY"),
        ("time_of_day", 585.5, "09:45:30"),
        ("price", 5.0, 5),
        ("price", 5.25, 5.25),
        ("price", 1e300, 1e300),
    ],
)
def test_facts_are_shown_as_people_write_them(field, number, text):
    assert shown(field, number) == text
