"""`rules.growth`: what ten times the rules, and ten times the symbols, cost."""

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.figure import Figure
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.rule_set import mixed_rules, sources_of
from benchmarks.rules.second_opinion import assert_explained
from benchmarks.rules.world import make_world
from rules.core.program import compile_program

RULES_AN_OWNER = 40
RUNS, CHECKED_RULES = 5, 50
# Owners grow with the rules, so that ten times the rules is ten times everything but the symbols.
BY_RULES = ((1_000, 500), (10_000, 500), (100_000, 500))
# Few rules, for every rule's verdicts on 10,000 symbols must find room at once.
BY_SYMBOLS = ((2_000, 100), (2_000, 1_000), (2_000, 10_000))
# Many of both.
BY_BOTH = ((10_000, 1_000), (100_000, 1_000))


def measure() -> Iterator[Figure]:
    ratios: list[float] = []
    steps = []
    for series in (BY_RULES, BY_SYMBOLS, BY_BOTH):
        timed = [(size, _milliseconds(*size)) for size in series]
        for (_, small), (_, large) in pairwise(timed):
            ratios.append(large / small)
        steps += [f"{rules} x {symbols} {spent:.2f} ms" for (rules, symbols), spent in timed]
    yield Figure(
        "rules.growth",
        round(max(ratios), 2),
        "times",
        10.0,
        "ten times the rules or symbols",
        n=RUNS,
        notes=f"the worst of {', '.join(f'{ratio:.2f}' for ratio in ratios)}; " + ", ".join(steps),
    )


def _milliseconds(rules: int, symbols: int) -> float:
    owners = rules // RULES_AN_OWNER
    sources = sources_of(mixed_rules(1, rules), owners=owners)
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=symbols, owners=owners) for seed in range(RUNS + 1)]
    program.evaluate(worlds[0].market, worlds[0].owners)
    timed = time_evaluations(program, worlds[1:])
    assert_explained(sources, timed.told, worlds[-1], rules=CHECKED_RULES)
    return timed.seconds * 1e3
