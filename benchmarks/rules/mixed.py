"""`rules.mixed`: 20,000 different rules of 512 owners, against the least that any such engine must do."""

from collections.abc import Iterator, Sequence
from random import Random

from benchmarks.figure import Figure
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.floor import time_floor
from benchmarks.rules.rule_set import Rule, comparisons_in, mixed_rules, sources_of
from benchmarks.rules.world import World, make_world
from rules.core.conditions import parse_conditions
from rules.core.explanation import explain_rule
from rules.core.facts import PortfolioFacts
from rules.core.program import RuleSource, Triggered, compile_program

RULES, SYMBOLS, OWNERS, RUNS = 20_000, 500, 512, 21
# Told one by one as a second opinion: so many rules, each on so many symbols and on those that it fires for.
CHECKED_RULES, CHECKED_SYMBOLS = 500, 50
OWNED_SHARE = 0.01


def measure() -> Iterator[Figure]:
    rules = mixed_rules(1, RULES)
    sources = sources_of(rules, owners=OWNERS)
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(RUNS + 1)]
    first = worlds[0]
    checked = assert_explained(sources, program.evaluate(first.market, first.owners), first)
    timed = time_evaluations(program, worlds[1:])
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


def assert_explained(sources: Sequence[RuleSource], triggered: Sequence[Triggered], world: World) -> int:
    """How many pairs of a sample of rules were explained one by one, all as the program said."""
    rng = Random(2)
    told: dict[object, set[str | None]] = {}
    for key, symbol, _ in triggered:
        told.setdefault(key, set()).add(symbol)
    checked = 0
    for source in rng.sample(list(sources), min(CHECKED_RULES, len(sources))):
        held = world.owners[source.owner].positions
        symbols = {*rng.sample(world.market.symbols, CHECKED_SYMBOLS), *held, *told.get(source.key, ())}
        expected = _explained(source, symbols - {None}, world)
        assert told.get(source.key, set()) == expected, f"program and explanation differ on {source}"
        checked += len(symbols)
    return checked


def _explained(source: RuleSource, symbols: set[str | None], world: World) -> set[str | None]:
    conditions = parse_conditions(source.conditions)

    def fires(symbol: str | None) -> bool:
        portfolio: PortfolioFacts = world.owners[source.owner]
        explanation = explain_rule(
            rule_type=source.rule_type,
            conditions=conditions,
            trades=source.trades,
            market=world.market,
            portfolio=portfolio,
            symbol=symbol,
        )
        return explanation.outcome is True

    if fires(None):  # only a rule that speaks for the portfolio does
        return {None}
    return {symbol for symbol in symbols if fires(symbol)}


def _harder() -> str:
    """The same with universes, and with entry rules that must be told for each pair of owner and symbol."""
    program = compile_program(sources_of(mixed_rules(1, RULES, owned_share=OWNED_SHARE), owners=OWNERS))
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS, universes=True) for seed in range(6)]
    program.evaluate(worlds[0].market, worlds[0].owners)
    timed = time_evaluations(program, worlds[1:])
    return (
        f"with a universe for every fourth owner, and {OWNED_SHARE:.0%} of the rules on sector exposure or on "
        f"portfolio or market: {timed.seconds * 1e3:.2f} ms"
    )


def _described(rules: Sequence[Rule]) -> str:
    parts = [list(comparisons_in(rule["conditions"])) for rule in rules]
    fields = {part["field"] for found in parts for part in found}
    nested = sum(any("field" not in node for node in rule["conditions"]) for rule in rules)
    fielded = sum(any(isinstance(part["value"], dict) for part in found) for found in parts)
    return (
        f"{sum(map(len, parts)) / len(rules):.2f} comparisons a rule of {len(fields)} fields, "
        f"{nested / len(rules):.0%} of the rules nested, {fielded / len(rules):.0%} comparing fields"
    )
