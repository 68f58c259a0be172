"""`rules.compile`, `rules.refresh`, `rules.memory`: what it costs to have the mixed set ready."""

import gc
import json
import statistics
import tracemalloc
from collections.abc import Iterator, Sequence

from benchmarks.figure import Figure
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.rule_set import mixed_rules, sources_of
from benchmarks.rules.world import make_world
from benchmarks.timing import median_seconds, seconds_of_each
from rules.core.program import Program, RuleSource, compile_program

RULES, SYMBOLS, OWNERS, RUNS = 20_000, 500, 512, 5
CHANGES = 200


def measure() -> Iterator[Figure]:
    sources = sources_of(mixed_rules(1, RULES), owners=OWNERS)
    written = [json.dumps(source.conditions) for source in sources]
    compiling = median_seconds(compile_program, [sources] * RUNS)
    reading = median_seconds(lambda texts: [json.loads(text) for text in texts], [written] * RUNS)
    first, later = _evaluations_after(compile_program(sources))
    yield Figure(
        "rules.compile",
        round(compiling / RULES * 1e6, 2),
        "us/rule",
        round(reading / RULES * 1e6, 2),
        "us a rule for json.loads of the same conditions",
        n=RUNS,
        notes=f"{RULES} rules of the mixed set; "
        f"the first evaluation after it takes {first * 1e3:.2f} ms, a later one {later * 1e3:.2f} ms",
    )
    yield _refresh(sources, compiling)
    yield _memory(sources, written)


def _evaluations_after(program: Program) -> tuple[float, float]:
    """Seconds of the first evaluation, and of later ones: what compiling put off shows in the first."""
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(1 + RUNS)]
    return time_evaluations(program, worlds[:1]).seconds, time_evaluations(program, worlds[1:]).seconds


def _refresh(sources: Sequence[RuleSource], compiling: float) -> Figure:
    """One rule after another replaced in the program that the change before gave."""
    replacements = sources_of(mixed_rules(2, CHANGES), owners=OWNERS)
    changes = [
        (old.key, RuleSource(("new", old.key), old.owner, new.rule_type, new.conditions, new.trades))
        for old, new in zip(sources[:: RULES // CHANGES], replacements, strict=True)
    ]
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(1 + 2 * RUNS)]
    before = time_evaluations(program, worlds[1 : RUNS + 1])

    def change(place: tuple[object, RuleSource]) -> Program:
        nonlocal program
        key, source = place
        program = program.refreshed(remove=[(source.owner, key)], add=[source])
        return program

    seconds = sorted(seconds_of_each(change, changes))
    after = time_evaluations(program, worlds[RUNS + 1 :])

    gone = {key for key, _ in changes}
    now = [*(source for source in sources if source.key not in gone), *(source for _, source in changes)]
    world = worlds[0]
    told = set(program.evaluate(world.market, world.owners))
    assert told == set(compile_program(now).evaluate(world.market, world.owners)), (
        "a refreshed program differs"
    )
    return Figure(
        "rules.refresh",
        round(statistics.median(seconds) * 1e3, 3),
        "ms",
        round(compiling * 1e3, 1),
        "ms to compile all rules anew",
        n=CHANGES,
        notes=f"one rule of {RULES} replaced, {CHANGES} times in a row; "
        f"p99 {seconds[int(0.99 * CHANGES)] * 1e3:.3f} ms, worst {seconds[-1] * 1e3:.3f} ms; "
        f"an evaluation before {before.seconds * 1e3:.2f} ms, after {after.seconds * 1e3:.2f} ms; "
        "the same answers as compiled anew",
    )


def _memory(sources: list[RuleSource], written: Sequence[str]) -> Figure:
    """What a program keeps, beside the sources that it was given; before and after its first evaluation."""
    world = make_world(0, symbols=SYMBOLS, owners=OWNERS)
    gc.collect()
    tracemalloc.start()
    begin, _ = tracemalloc.get_traced_memory()
    program = compile_program(sources)
    gc.collect()
    compiled, peak = tracemalloc.get_traced_memory()
    found = len(program.evaluate(world.market, world.owners))
    gc.collect()
    evaluated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del program
    return Figure(
        "rules.memory",
        round((evaluated - begin) / RULES),
        "bytes/rule",
        round(sum(map(len, written)) / RULES),
        "bytes of a rule's conditions as JSON text",
        n=1,
        notes=f"all that Python and NumPy allocated in compile_program({RULES} sources) and is still there after "
        f"the first evaluation, {found} triggered pairs dropped; the sources were made before; "
        f"{(compiled - begin) / RULES:.0f} before that evaluation, "
        f"{(peak - begin) / RULES:.0f} at the peak of compiling",
    )
