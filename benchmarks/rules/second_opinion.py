"""A program's answers held against the explanation, which tells rules one by one on separate code."""

from collections.abc import Sequence
from random import Random

from benchmarks.rules.world import World
from rules.core.conditions import parse_conditions
from rules.core.explanation import explain_rule
from rules.core.facts import PortfolioFacts
from rules.core.program import RuleSource, Triggered

# A rule is explained on so many symbols, and on those that are held and that it fires for.
SYMBOLS = 50


def assert_explained(
    sources: Sequence[RuleSource], triggered: Sequence[Triggered], world: World, *, rules: int = 500
) -> int:
    """How many pairs of a sample of rules were explained one by one, all as the program said."""
    rng = Random(2)
    told: dict[object, set[str | None]] = {}
    for key, symbol, _ in triggered:
        told.setdefault(key, set()).add(symbol)
    checked = 0
    for source in rng.sample(list(sources), min(rules, len(sources))):
        held = world.owners[source.owner].positions
        symbols = {*rng.sample(world.market.symbols, SYMBOLS), *held, *told.get(source.key, ())}
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
            schedule=source.schedule,
            blocks=source.blocks,
        )
        return explanation.outcome is True

    if fires(None):  # only a rule that speaks for the portfolio does
        return {None}
    return {symbol for symbol in symbols if fires(symbol)}
