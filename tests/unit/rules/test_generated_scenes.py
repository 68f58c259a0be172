"""A guard on the tests that use generated scenes: what is never generated is never tested."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from rules.core.compiler import compile_segment
from rules.core.conditions import parse_conditions
from rules.core.explanation import explain
from rules.core.fields import CATALOGUE
from rules.core.language import BAR_OPERATORS, NESTING_MAX, Comparison, Constant, FieldReference, Operator
from rules.core.program import compile_program
from rules.core.segment import Bound
from tests.harness.rule_facts import UNLISTED
from tests.harness.rules import conditions_on_the_quantity, depth_of
from tests.harness.scenes import (
    MORE_SYMBOLS,
    RUNGS_MIN,
    Scene,
    comparisons_in,
    factor_ladders,
    ladders,
    scenes,
    sources,
    walk,
)


def test_scenes_reach_every_operator_field_and_shape():
    operators, fields, shapes, depths = set(), set(), set(), set()
    met: Counter[str] = Counter()

    @settings(max_examples=900, deadline=None, database=None, derandomize=True)
    @given(scenes(sources()))
    def collect(scene):
        for rule in scene.rules:
            shapes.update(type(part).__name__ for part in walk(parse_conditions(rule.conditions)))
            depths.update(depth_of(node) for node in rule.conditions)
            met["schedule"] += rule.schedule is not None
            met["looks everywhere"] += rule.rule_type == "risk" and rule.blocks and not rule.trades
        for comparison in comparisons_in(scene.rules):
            operators.add(comparison.operator)
            fields.add(comparison.field)
            met["tie"] += is_tied(comparison, scene)
            met["at the threshold"] += is_met(comparison, scene)
        told = compile_program(scene.rules).evaluate(scene.market, scene.owners)
        met["true for a symbol"] += any(symbol is not None for _, symbol, _ in told)
        met["true for the portfolio"] += any(symbol is None for _, symbol, _ in told)
        met["true for what left the market"] += any(symbol == UNLISTED for _, symbol, _ in told)
        met["true for several owners"] += len({owner for _, _, owner in told}) > 1
        met["unknown"] += None in outcomes(scene)
        met["silent"] += not told

    collect()
    assert operators == set(Operator)
    assert fields == set(CATALOGUE)
    assert shapes == {"Comparison", "AllOf", "AnyOf", "Not"}
    assert depths == set(range(1, NESTING_MAX + 1))
    assert all(count >= 5 for count in met.values()), met


def test_ladders_are_long_and_are_climbed():
    operators, met = set(), Counter()

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(scenes(ladders() | factor_ladders(), symbols=MORE_SYMBOLS))
    def collect(scene):
        comparisons = comparisons_in(scene.rules)
        families = {(step.field, step.operator, getattr(step.value, "field", None)) for step in comparisons}
        assert len(families) == 1 and len(comparisons) >= RUNGS_MIN
        operators.add(comparisons[0].operator)
        met["factors"] += isinstance(comparisons[0].value, FieldReference)
        met["tie"] += any(is_tied(comparison, scene) for comparison in comparisons)
        rungs = {key for key, _, _ in compile_program(scene.rules).evaluate(scene.market, scene.owners)}
        met["some rungs are true, others not"] += 0 < len(rungs) < len(scene.rules)

    collect()
    assert operators == {*Operator} - {Operator.BETWEEN, Operator.IN, Operator.NOT_IN}
    assert all(count > 20 for count in met.values()), met


def test_what_is_not_held_decides_in_some_scenes():
    """It would be told otherwise if all that is not held were being bought, of which nobody knows the quantity."""
    bounds: set[int] = set()
    met: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(scenes(sources(about=conditions_on_the_quantity), symbols=MORE_SYMBOLS))
    def collect(scene):
        bounds.update(compile_segment(scene.rules).bound.tolist())
        program, everything = compile_program(scene.rules), frozenset(scene.market.symbols)
        bought = {owner: replace(facts, awaited=everything) for owner, facts in scene.owners.items()}
        met["decides"] += program.evaluate(scene.market, scene.owners) != program.evaluate(
            scene.market, bought
        )
        met["being bought"] += any(facts.awaited for facts in scene.owners.values())

    collect()
    assert bounds >= {Bound.ELIGIBLE, Bound.HELD, Bound.HELD_ELIGIBLE, Bound.UNHELD_TOO}
    assert all(count >= 3 for count in met.values()), met


def outcomes(scene: Scene) -> list[bool | None]:
    """What the first rule's conditions come to for each symbol of the market."""
    return [
        explain(
            scene.rules[0].conditions, market=scene.market, portfolio=scene.owners["alice"], symbol=symbol
        ).outcome
        for symbol in scene.market.symbols
    ]


def is_tied(comparison: Comparison, scene: Scene) -> bool:
    """Whether somewhere one market fact equals the other times the factor, exactly."""
    value, market = comparison.value, scene.market
    if not isinstance(value, FieldReference):
        return False
    if comparison.operator in BAR_OPERATORS:
        sides = [market.completed.get(name, (None, None))[1] for name in (comparison.field, value.field)]
    else:
        sides = [market.values.get(name) for name in (comparison.field, value.field)]
    if any(side is None for side in sides):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.any(sides[0] == sides[1] * value.times))


def is_met(comparison: Comparison, scene: Scene) -> bool:
    """Whether somewhere a market fact equals the number that it is compared with."""
    facts = scene.market.values.get(comparison.field)
    return isinstance(comparison.value, Constant) and facts is not None and comparison.value.number in facts
