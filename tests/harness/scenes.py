"""Scenes: generated rules with the facts that they are evaluated on.

Facts are drawn after the rules, because the interesting ones are a rule's own thresholds, their neighbours
among the floats, and exact ties of two fields (a fact that equals the other one times the factor).
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from rules.core.conditions import parse_conditions
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.fields import CATALOGUE, NUMERIC_TYPES, FieldSpec, FieldType
from rules.core.language import (
    TIMES_MAX,
    Comparison,
    Node,
    Not,
    Operator,
    comparable_fields,
    suitable_operators,
)
from rules.core.program import RuleSource
from rules.core.schedule import schedule_node
from tests.harness.rule_facts import OF_THE_MARKET, market_facts, pairs_in, palettes, portfolio_facts, tie
from tests.harness.rules import (
    FACTORS,
    RULE_TYPES,
    Json,
    can_be_true,
    conditions,
    conditions_on_the_portfolio,
    conditions_on_the_quantity,
    numbers_of,
    schedules,
)

SYMBOLS = ("AAPL", "MSFT", "XOM")
MORE_SYMBOLS = (*SYMBOLS, "AMZN", "GE", "IBM", "KO", "PG", "T")
OWNERS = ("alice", "bob")
ABSENT = "charlie"  # has rules, but no facts
PORTFOLIOS_MAX = 7
RUNGS_MIN = 14
_ABOUT = st.one_of(
    conditions, conditions, conditions, conditions_on_the_portfolio, conditions_on_the_quantity
)  # fmt: skip
_LADDERED = {
    operator: sorted(
        name
        for name, spec in CATALOGUE.items()
        if spec.type in NUMERIC_TYPES and operator in suitable_operators(spec)
    )
    for operator in Operator
    if operator not in {Operator.BETWEEN, Operator.IN, Operator.NOT_IN}
}


class Scene(NamedTuple):
    """Rules of some owners, the market, and the facts of every owner but ABSENT."""

    rules: list[RuleSource]
    market: MarketFacts
    owners: dict[str, PortfolioFacts]


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    children = [node.node] if isinstance(node, Not) else getattr(node, "nodes", ())
    for child in children:
        yield from walk(child)


def comparisons_in(sources: Iterable[RuleSource]) -> list[Comparison]:
    """Every comparison of conditions and schedules, each once."""
    nodes: list[Node] = []
    for source in sources:
        nodes.append(parse_conditions(source.conditions))
        hours = schedule_node(source.schedule)
        nodes += [] if hours is None else [hours]
    found = (part for node in nodes for part in walk(node) if isinstance(part, Comparison))
    return list(dict.fromkeys(found))


@st.composite
def sources(
    draw: st.DrawFn,
    owners: tuple[str, ...] = OWNERS,
    rules_max: int = 3,
    about: st.SearchStrategy[list[Json]] = _ABOUT,
) -> list[RuleSource]:
    """Every rule belongs to one owner or to all of them: equal conditions of many owners are shared."""
    rules = []
    for key in range(-draw(st.integers(1, rules_max)), 0):  # -1 and -2, which have one hash
        everybody = (*owners, ABSENT)
        holders = everybody if draw(st.booleans()) else (draw(st.sampled_from(everybody)),)
        content = (
            draw(st.sampled_from(RULE_TYPES)),
            draw(about),
            draw(st.booleans()),
            draw(st.none() | schedules()),
            draw(st.booleans()),  # blocks entries
        )
        rules += [RuleSource(key, owner, *content) for owner in holders]
    return rules


def _rungs(spec: FieldSpec, anchors: list[float]) -> list[float]:
    """Many numbers for one comparison: clusters of neighbouring floats, and some far apart."""
    if spec.type is FieldType.INTEGER:
        return [float(number) for number in range(2 * RUNGS_MIN)]
    low, high = float(min(numbers_of(spec))), float(max(numbers_of(spec)))
    numbers = [*_clusters(anchors), *map(float, numbers_of(spec))]
    numbers += [low + (high - low) * step / RUNGS_MIN for step in range(RUNGS_MIN + 1)]
    return sorted({number for number in numbers if low <= number <= high})


def _factors(anchors: list[float], *, tiny: bool) -> list[float]:
    """The same for the factor of another field; tiny ones make products that lose their digits."""
    numbers = [*_clusters(anchors), *(step / 4 for step in range(-RUNGS_MIN, RUNGS_MIN + 1))]
    numbers += [sign * edge for edge in (1e-6, 3e-6, 3e5, 1e6) for sign in (1, -1)]
    if tiny:
        numbers += [10.0**-power for power in range(7, 7 + RUNGS_MIN)]
    low = 0.0 if tiny else 1e-6
    return sorted({number for number in numbers if number and low <= abs(number) <= TIMES_MAX})


def _clusters(anchors: list[float]) -> list[float]:
    return [*anchors, *(math.nextafter(number, way) for number in anchors for way in (math.inf, -math.inf))]


def _shaped(shape: str, one: Json, other: Json) -> Json:
    if shape == "not":
        return {"not": one}
    return one if shape == "plain" else {shape: [one, {"not": other}]}


def _ladder(
    draw: st.DrawFn, spec: FieldSpec, operator: Operator, values: list[Any], owners: tuple[str, ...]
) -> list[RuleSource]:
    rule_type = draw(st.sampled_from(("entry", *RULE_TYPES)))
    shape = draw(st.sampled_from(("plain", "not", "all", "any")))
    steps = [{"field": spec.name, "operator": operator.value, "value": value} for value in values]
    shaped = [_shaped(shape, one, other) for one, other in zip(steps, [*steps[1:], steps[0]], strict=True)]
    return [
        RuleSource(f"rung {place}", owners[place % len(owners)], rule_type, [condition])
        for place, condition in enumerate(shaped)
    ]


@st.composite
def ladders(draw: st.DrawFn, owners: tuple[str, ...] = OWNERS) -> list[RuleSource]:
    """One fact against very many numbers: what a program looks up in a sorted table, not one by one."""
    operator = draw(st.sampled_from(tuple(_LADDERED)))
    spec = CATALOGUE[draw(st.sampled_from(_LADDERED[operator]))]
    low, high = min(numbers_of(spec)), max(numbers_of(spec))
    rungs = _rungs(spec, draw(st.lists(st.floats(low, high), min_size=1, max_size=3)))
    return _ladder(
        draw, spec, operator, [rung for rung in rungs if can_be_true(spec, operator, rung)], owners
    )


@st.composite
def factor_ladders(draw: st.DrawFn, owners: tuple[str, ...] = OWNERS) -> list[RuleSource]:
    """One fact against another one times very many factors, most often two facts of the market."""
    operator = draw(st.sampled_from(tuple(_LADDERED)))
    pairs = [
        (CATALOGUE[name], other)
        for name in _LADDERED[operator]
        for other in comparable_fields(CATALOGUE[name], operator)
    ]
    of_the_market = [
        (spec, other) for spec, other in pairs if {spec.kind, CATALOGUE[other].kind} <= OF_THE_MARKET
    ]
    spec, other = draw(st.sampled_from(of_the_market) | st.sampled_from(pairs))
    factors = st.sampled_from(FACTORS) | st.floats(-TIMES_MAX, TIMES_MAX) | st.floats(-3, 3)
    anchors = draw(st.lists(factors.map(float), min_size=1, max_size=3))
    rungs = _factors(anchors, tiny=draw(st.booleans()))
    return _ladder(draw, spec, operator, [{"field": other, "times": rung} for rung in rungs], owners)


@st.composite
def scenes(
    draw: st.DrawFn,
    rules: st.SearchStrategy[list[RuleSource]],
    *,
    symbols: tuple[str, ...] = SYMBOLS,
    owners: tuple[str, ...] = OWNERS,
) -> Scene:
    """Rules and facts for them. More than seven owners look like the first seven in turn."""
    chosen = draw(rules)
    comparisons = comparisons_in(chosen)
    calm = draw(st.booleans())
    fields = palettes(comparisons, calm=calm)
    market = market_facts(draw, fields, symbols)
    portfolios = [portfolio_facts(draw, fields, symbols) for _ in owners[:PORTFOLIOS_MAX]]
    for pair, factors in pairs_in(comparisons).items():
        tie(draw, pair, factors, market, portfolios, calm=calm)
    facts = {owner: portfolios[place % len(portfolios)] for place, owner in enumerate(owners)}
    return Scene(chosen, market, facts)
