"""`rules.simple`: the specification's entry rule with 20,000 thresholds, against other people's engines."""

from collections.abc import Iterator

import numpy as np

from benchmarks.figure import Figure
from benchmarks.rules.engines import ZEN, Facts, engines
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.rule_set import sources_of, specified_entry
from benchmarks.rules.world import World, make_world, owner_names
from benchmarks.timing import median_seconds
from rules.core.facts import PortfolioFacts
from rules.core.fields import RECOMMENDATIONS
from rules.core.program import compile_program

RULES, SYMBOLS, OWNERS, RUNS = 20_000, 500, 512, 21
# What the others are asked: a part of the rules, all of one owner, on a part of the symbols.
OTHERS_RULES, OTHERS_SYMBOLS, OTHERS_RUNS = 1_000, 25, 5


def measure() -> Iterator[Figure]:
    thresholds = (0.78 + np.arange(RULES) * 1e-5).round(5)
    np.random.default_rng(1).shuffle(thresholds)
    rules = [specified_entry(float(threshold)) for threshold in thresholds]
    program = compile_program(sources_of(rules, owners=OWNERS))
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(RUNS + 1)]

    program.evaluate(worlds[0].market, worlds[0].owners)
    timed = time_evaluations(program, worlds[1:])
    told = sorted((key, symbol) for key, symbol, _ in timed.told)
    assert told == _told_densely(thresholds, worlds[-1]), "the program and plain arrays differ"

    rate = RULES * SYMBOLS / timed.seconds
    rates = _rates_of_others(thresholds[:OTHERS_RULES].tolist(), worlds[-1])
    others = "; ".join(f"{name} {theirs:,.0f}/s ({rate / theirs:,.0f} x)" for name, theirs in rates.items())
    yield Figure(
        "rules.simple",
        round(rate),
        "evaluations/s",
        round(max(rates[name] for name in ZEN)),
        "evaluations/s of zen-engine on the same rule, the faster of its two ways",
        n=RUNS,
        notes=f"{RULES} rules x {SYMBOLS} symbols in {timed.seconds * 1e3:.2f} ms, "
        f"{timed.found / RULES / SYMBOLS:.3%} triggered; the same answers from: {others}",
    )


def _told_densely(thresholds: np.ndarray, world: World) -> list[tuple[int, str]]:
    """The verdicts as one dense array of rules x symbols."""
    values = world.market.values
    cash = np.array([owner.values["portfolio_cash_percentage"] for owner in world.owners.values()])
    advised = values["ai_recommendation"] == RECOMMENDATIONS.index("STRONG_BUY")
    sure = values["confidence_score"] > thresholds[:, None]
    true = advised & sure & (cash[np.arange(len(thresholds)) % OWNERS] > 10)[:, None]
    return [(rule, world.market.symbols[place]) for rule, place in np.argwhere(true).tolist()]


def _rates_of_others(thresholds: list[float], world: World) -> dict[str, float]:
    """Evaluations a second of every other engine, each of which first gives the program's own answers."""
    symbols = _typical_symbols(world)
    rules = [specified_entry(threshold) for threshold in thresholds]
    (owner,) = owner_names(1)
    facts_of_owner = PortfolioFacts({"portfolio_cash_percentage": 25.0}, {}, frozenset(symbols))
    expected: dict[str | None, list[object]] = {symbol: [] for symbol in symbols}
    for key, symbol, _ in compile_program(sources_of(rules, owners=1)).evaluate(
        world.market, {owner: facts_of_owner}
    ):
        expected[symbol].append(key)
    assert any(expected.values()), "nothing is triggered, so nothing is compared"
    facts = [_facts(world, symbol) for symbol in symbols]
    rates = {}
    for name, ask in engines(thresholds, rules):
        assert ask(facts) == list(expected.values()), f"{name} does not agree"
        rates[name] = len(rules) * len(symbols) / median_seconds(ask, [facts] * OTHERS_RUNS)
    return rates


def _typical_symbols(world: World) -> list[str]:
    """The surest STRONG_BUY, and as many other recommendations as there are for one of those."""
    advice, sure = (world.market.values[name] for name in ("ai_recommendation", "confidence_score"))
    strong = advice == RECOMMENDATIONS.index("STRONG_BUY")
    surest = int(np.argmax(np.where(strong, sure, 0)))
    weaker = np.flatnonzero(np.isfinite(advice) & ~strong)[: OTHERS_SYMBOLS - 1]
    return [world.market.symbols[place] for place in [surest, *weaker.tolist()]]


def _facts(world: World, symbol: str) -> Facts:
    place = world.market.index[symbol]
    return {
        "ai_recommendation": RECOMMENDATIONS[int(world.market.values["ai_recommendation"][place])],
        "confidence_score": float(world.market.values["confidence_score"][place]),
        "portfolio_cash_percentage": 25.0,
    }
