"""What the program over vectors says is what the explanation says, for every rule, owner and symbol."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.core.conditions import parse_conditions
from rules.core.explanation import explain_rule
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldKind, FieldType
from rules.core.language import (
    BAR_OPERATORS,
    LIST_OPERATORS,
    Comparison,
    FieldReference,
    Not,
    Operator,
    suitable_operators,
)
from rules.core.program import RuleSource, Triggered, compile_program

SYMBOLS = ("AAPL", "MSFT", "XOM")
UNLISTED = "GONE"  # held, but not in the market snapshot
OWNERS = ("alice", "bob")
STRANGE = (math.nan, math.inf, -math.inf)
POSITION_KINDS = {FieldKind.POSITION, FieldKind.DIVERSIFICATION}


def numbers_of(name):
    """Few values each, so that facts often meet thresholds exactly."""
    spec = CATALOGUE[name]
    if spec.choices:
        return tuple(float(code) for code in range(len(spec.choices)))
    if spec.type is FieldType.TIME_OF_DAY:
        return (0.0, 570.0, 720.0, 1439.0)
    if spec.maximum == 1:
        return (0.0, 0.25, 0.8, 1.0)
    if spec.type is FieldType.INTEGER:
        return (0.0, 1.0, 2.0, 10.0)
    low = -5.0 if spec.minimum != 0 else 0.0
    return (low, 0.5, 2.0)


def facts_of(name):
    return st.sampled_from((*numbers_of(name), *STRANGE, 1e308))


def literals_of(name):
    spec = CATALOGUE[name]
    if spec.choices:
        return st.sampled_from(spec.choices)
    if spec.type is FieldType.TIME_OF_DAY:
        return st.sampled_from(("00:00", "09:30", "12:00", "23:59"))
    return st.sampled_from(numbers_of(name))


def impossible(name, operator, value):
    spec = CATALOGUE[name]
    above = operator in {Operator.GREATER_THAN, Operator.CROSSES_ABOVE} and value == spec.maximum
    below = operator in {Operator.LESS_THAN, Operator.CROSSES_BELOW} and value == spec.minimum
    return not isinstance(value, str) and (above or below)


@st.composite
def comparisons(draw):
    operator = draw(st.sampled_from(sorted(Operator)))
    suited = sorted(name for name, spec in CATALOGUE.items() if operator in suitable_operators(spec))
    name = draw(st.sampled_from(suited))
    spec = CATALOGUE[name]
    alike = [
        other.name
        for other in CATALOGUE.values()
        if other.name != name
        and other.unit == spec.unit
        and other.type in NUMERIC_TYPES
        and (other.completed_bars or operator not in BAR_OPERATORS)
    ]
    if operator is Operator.BETWEEN:
        ends = [draw(literals_of(name)) for _ in range(2)]
        order = spec.choices.index if spec.choices else (lambda end: end)
        value = sorted(ends, key=order)
    elif operator in LIST_OPERATORS:
        value = draw(st.lists(literals_of(name), min_size=1, max_size=3))
    elif alike and spec.type in NUMERIC_TYPES and draw(st.booleans()):
        value = {"field": draw(st.sampled_from(alike))}
        if draw(st.booleans()):
            value["times"] = draw(st.sampled_from((1, 1.02, -0.5, 1e6)))
    else:
        value = draw(literals_of(name).filter(lambda literal: not impossible(name, operator, literal)))
    return {"field": name, "operator": operator.value, "value": value}


nodes = st.recursive(
    comparisons(),
    lambda child: st.one_of(
        st.lists(child, min_size=1, max_size=3).map(lambda group: {"all": group}),
        st.lists(child, min_size=1, max_size=3).map(lambda group: {"any": group}),
        child.map(lambda node: {"not": node}),
    ),
    max_leaves=6,
)


def names_in(kinds):
    return sorted(name for name, spec in CATALOGUE.items() if spec.kind in kinds)


@st.composite
def vectors(draw, name):
    return np.array([draw(facts_of(name)) for _ in SYMBOLS], dtype=np.float64)


@st.composite
def tables(draw, kinds):
    """Facts by name; a name may be missing altogether."""
    return {name: draw(facts_of(name)) for name in names_in(kinds) if draw(st.integers(0, 9)) > 0}


@st.composite
def markets(draw):
    names = names_in({FieldKind.MARKET, FieldKind.RECOMMENDATION, FieldKind.TIME})
    present = [name for name in names if draw(st.integers(0, 9)) > 0]
    return MarketFacts(
        symbols=SYMBOLS,
        values={name: draw(vectors(name)) for name in present},
        completed={
            name: (draw(vectors(name)), draw(vectors(name)))
            for name in present
            if CATALOGUE[name].completed_bars
        },
    )


@st.composite
def portfolios(draw):
    held = draw(st.sets(st.sampled_from((*SYMBOLS, UNLISTED))))
    universe = draw(st.none() | st.frozensets(st.sampled_from((*SYMBOLS, UNLISTED))))
    return PortfolioFacts(
        values=draw(tables({FieldKind.PORTFOLIO})),
        positions={symbol: draw(tables({FieldKind.POSITION})) for symbol in sorted(held)},
        universe=universe,
        symbols={symbol: draw(tables({FieldKind.DIVERSIFICATION})) for symbol in SYMBOLS[:2]},
    )


@st.composite
def sources(draw):
    return [
        RuleSource(
            key=key,
            owner=draw(st.sampled_from(OWNERS)),
            rule_type=draw(st.sampled_from(("entry", "exit", "risk"))),
            conditions=draw(st.lists(nodes, min_size=1, max_size=2)),
            trades=draw(st.booleans()),
        )
        for key in range(draw(st.integers(1, 6)))
    ]


def told_one_by_one(rules, market, owners):
    """Every verdict by the scalar explanation."""
    expected = set()
    for rule in rules:
        for symbol in (None, *SYMBOLS, UNLISTED):
            explanation = explain_rule(
                rule_type=rule.rule_type,
                conditions=rule.conditions,
                trades=rule.trades,
                market=market,
                portfolio=owners[rule.owner],
                symbol=symbol,
            )
            if explanation.outcome is True:
                for_portfolio = explanation.sentence.startswith("True for the portfolio")
                expected.add(Triggered(rule.key, None if for_portfolio else symbol, rule.owner))
    return expected


@settings(max_examples=600, deadline=None)
@given(rules=sources(), market=markets(), facts=st.tuples(portfolios(), portfolios()))
def test_the_program_and_the_explanation_agree(rules, market, facts):
    owners = dict(zip(OWNERS, facts, strict=True))

    triggered = compile_program(rules).evaluate(market, owners)

    assert len(triggered) == len(set(triggered)), "a verdict is told once"
    assert set(triggered) == told_one_by_one(rules, market, owners)


@settings(max_examples=200, deadline=None)
@given(node=nodes, market=markets(), facts=portfolios())
def test_a_condition_and_its_negation_never_both_fire(node, market, facts):
    rules = [
        RuleSource("is", "alice", "entry", [node]),
        RuleSource("is not", "alice", "entry", [{"not": node}]),
    ]
    triggered = compile_program(rules).evaluate(market, {"alice": facts})
    symbols = [verdict.symbol for verdict in triggered]
    assert len(symbols) == len(set(symbols))


def walk(node):
    yield node
    children = [node.node] if isinstance(node, Not) else getattr(node, "nodes", ())
    for child in children:
        yield from walk(child)


def test_the_generated_rules_reach_every_operator_field_and_shape():
    """A guard on the tests above: what they never generate, they do not test."""
    operators, fields, references, depths = set(), set(), 0, set()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(node=nodes)
    def collect(node):
        nonlocal references
        for part in walk(parse_conditions([node])):
            if isinstance(part, Comparison):
                operators.add(part.operator)
                fields.add(part.field)
                references += isinstance(part.value, FieldReference)
            depths.add(type(part).__name__)

    collect()
    assert operators == set(Operator)
    assert fields == set(CATALOGUE)
    assert references > 10
    assert depths == {"Comparison", "AllOf", "AnyOf", "Not"}
