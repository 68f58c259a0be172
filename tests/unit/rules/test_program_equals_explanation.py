"""What the program over vectors says is what the explanation says, for every rule, owner and symbol.

Two pieces of code that share no arithmetic: NumPy over all symbols, and plain Python on one number at a time.
What the scenes hold is guarded in test_generated_scenes.py.
"""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.core.conditions import parse_conditions
from rules.core.explanation import explain_rule
from rules.core.language import NESTING_MAX
from rules.core.program import RuleSource, Triggered, compile_program
from tests.harness.rule_facts import UNLISTED
from tests.harness.rules import conditions_on_the_quantity, depth_of
from tests.harness.scenes import MORE_SYMBOLS, Scene, factor_ladders, ladders, scenes, sources

# More than eight words of 64 bits, which are evaluated at a time, and not a whole number of words.
MANY_SYMBOLS = tuple(f"S{number:03d}" for number in range(530))
MANY_OWNERS = tuple(f"owner {number}" for number in range(70))
of_alice = st.one_of(ladders(("alice",)), factor_ladders(("alice",)), sources(("alice",), rules_max=2))


def told_one_by_one(scene: Scene) -> list[Triggered]:
    """Every verdict by the scalar explanation, in the order of the rules, then of the symbols."""
    told = []
    for rule in scene.rules:
        if rule.owner not in scene.owners:
            continue
        conditions = parse_conditions(rule.conditions)
        for symbol in (None, *scene.market.symbols, UNLISTED):
            explanation = explain_rule(
                rule_type=rule.rule_type,
                conditions=conditions,
                trades=rule.trades,
                market=scene.market,
                portfolio=scene.owners[rule.owner],
                symbol=symbol,
                schedule=rule.schedule,
                blocks=rule.blocks,
            )
            if explanation.outcome is True:
                told.append((rule.key, symbol, rule.owner))
                if symbol is None:
                    break  # told for the portfolio as a whole, whatever the symbol
    return told


def told_at_once(scene: Scene) -> list[Triggered]:
    return compile_program(scene.rules).evaluate(scene.market, scene.owners)


@settings(max_examples=2_000, deadline=None)
@given(scenes(sources()))
def test_the_program_and_the_explanation_agree(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=400, deadline=None)
@given(scenes(ladders(), symbols=MORE_SYMBOLS))
def test_they_agree_on_one_fact_against_very_many_numbers(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=600, deadline=None)
@given(scenes(factor_ladders(), symbols=MORE_SYMBOLS))
def test_they_agree_on_two_facts_with_very_many_factors(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=600, deadline=None)
@given(scenes(sources(about=conditions_on_the_quantity), symbols=MORE_SYMBOLS))
def test_they_agree_on_how_much_is_held_where_nothing_is(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=20, deadline=None)
@given(scenes(sources(("alice",), about=conditions_on_the_quantity), symbols=MANY_SYMBOLS, owners=("alice",)))
def test_they_agree_on_what_is_not_held_among_very_many_symbols(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=20, deadline=None)
@given(scenes(of_alice, symbols=MANY_SYMBOLS, owners=("alice",)))
def test_they_agree_on_more_symbols_than_a_word_has_bits(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=60, deadline=None)
@given(scenes(ladders(MANY_OWNERS) | sources(MANY_OWNERS, rules_max=1), owners=MANY_OWNERS))
def test_they_agree_on_more_owners_than_a_word_has_bits(scene):
    assert told_at_once(scene) == told_one_by_one(scene)


@settings(max_examples=300, deadline=None)
@given(scenes(sources(("alice",), rules_max=1), owners=("alice",)))
def test_a_condition_and_its_negation_never_both_fire(scene):
    condition = scene.rules[0].conditions[0]
    assume(depth_of(condition) < NESTING_MAX)
    rules = [
        RuleSource("is", "alice", "entry", [condition]),
        RuleSource("is not", "alice", "entry", [{"not": condition}]),
    ]
    symbols = [symbol for _, symbol, _ in told_at_once(scene._replace(rules=rules))]
    assert len(symbols) == len(set(symbols))


@settings(max_examples=300, deadline=None)
@given(scene=scenes(ladders() | sources(rules_max=4)), data=st.data())
def test_a_program_that_was_refreshed_equals_one_compiled_anew(scene, data):
    """Rules come and go, several times over; whatever stays is told as before, in some order."""
    pool = [rule for number, rule in enumerate(scene.rules) if rule not in scene.rules[:number]]
    kept = {(rule.owner, rule.key): rule for rule in data.draw(subsets(pool))}
    program = compile_program(list(kept.values()))
    for _ in range(data.draw(st.integers(1, 4))):
        removed = [(rule.owner, rule.key) for rule in data.draw(subsets(pool))]  # some are not there
        added = [
            rule for rule in data.draw(subsets(pool)) if (rule.owner, rule.key) not in kept.keys() - removed
        ]
        kept = {name: rule for name, rule in kept.items() if name not in removed}
        kept |= {(rule.owner, rule.key): rule for rule in added}
        program = program.refreshed(remove=removed, add=added)
        assert len(program) == len(kept)
        again = compile_program(list(kept.values())).evaluate(scene.market, scene.owners)
        assert sorted(program.evaluate(scene.market, scene.owners), key=repr) == sorted(again, key=repr)


def subsets(pool):
    picks = st.lists(st.booleans(), min_size=len(pool), max_size=len(pool))
    return picks.map(lambda chosen: [rule for rule, pick in zip(pool, chosen, strict=True) if pick])
