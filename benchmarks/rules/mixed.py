"""`rules.mixed`: 20,000 different rules of 512 owners, against the least that any such engine must do."""

from collections.abc import Iterator, Sequence

from benchmarks.figure import Figure
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.floor import time_floor
from benchmarks.rules.rule_set import Rule, comparisons_in, mixed_rules, sources_of
from benchmarks.rules.second_opinion import assert_explained
from benchmarks.rules.world import make_world
from rules.core.program import compile_program

RULES, SYMBOLS, OWNERS, RUNS = 20_000, 500, 512, 21
OWNED_SHARE = 0.01


def measure() -> Iterator[Figure]:
    rules = mixed_rules(1, RULES)
    sources = sources_of(rules, owners=OWNERS)
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(RUNS + 1)]
    program.evaluate(worlds[0].market, worlds[0].owners)
    timed = time_evaluations(program, worlds[1:])
    checked = assert_explained(sources, timed.told, worlds[-1])
    evaluations = RULES * SYMBOLS
    floor = time_floor(rules, symbols=SYMBOLS, runs=RUNS)
    yield Figure(
        "rules.mixed",
        round(evaluations / timed.seconds),
        "evaluations/s",
        round(evaluations / floor.seconds),
        "evaluations/s of NumPy's gather and AND of as many packed rows, without a list of pairs",
        n=RUNS,
        notes=f"{RULES} rules x {SYMBOLS} symbols in {timed.seconds * 1e3:.2f} ms, "
        f"{timed.found / evaluations:.3%} triggered; {_described(rules)}; exits and risk rules, "
        f"which look at 5 held symbols, count as if they looked at all; "
        f"{checked} pairs explained one by one, all equal; "
        f"floor {floor.seconds * 1e3:.2f} ms by {floor.how}, {floor.plain_seconds * 1e3:.2f} ms "
        f"({floor.plain_seconds / timed.seconds:.2f}) by table[places] and bitwise_and.reduce; {_harder()}",
    )


def _harder() -> str:
    """The same with universes, and with entry rules that must be told for each pair of owner and symbol."""
    sources = sources_of(mixed_rules(1, RULES, owned_share=OWNED_SHARE), owners=OWNERS)
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS, universes=True) for seed in range(6)]
    program.evaluate(worlds[0].market, worlds[0].owners)
    timed = time_evaluations(program, worlds[1:])
    checked = assert_explained(sources, timed.told, worlds[-1])
    return (
        f"with a universe for every fourth owner, and {OWNED_SHARE:.0%} of the rules on sector exposure or on "
        f"portfolio or market: {timed.seconds * 1e3:.2f} ms, {checked} pairs explained, all equal"
    )


def _described(rules: Sequence[Rule]) -> str:
    parts = [list(comparisons_in(rule["conditions"])) for rule in rules]
    fields = {part["field"] for found in parts for part in found}
    nested = sum(any("field" not in node for node in rule["conditions"]) for rule in rules)
    scheduled = sum("schedule" in rule for rule in rules)
    fielded = sum(any(isinstance(part["value"], dict) for part in found) for found in parts)
    return (
        f"{sum(map(len, parts)) / len(rules):.2f} comparisons a rule of {len(fields)} fields, "
        f"{nested / len(rules):.0%} of the rules nested, {fielded / len(rules):.0%} comparing fields, "
        f"{scheduled / len(rules):.0%} with a schedule"
    )
