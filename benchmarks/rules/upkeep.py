"""`rules.compile`, `rules.refresh`, `rules.memory`: what it costs to have the mixed set ready."""

import gc
import json
import statistics
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.figure import Figure
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.kept_programs import time_kept_programs
from benchmarks.rules.rule_set import mixed_rules, sources_of
from benchmarks.rules.world import make_world
from benchmarks.timing import median_seconds, seconds_of_each
from rules.core.compiler import compile_segment
from rules.core.program import Program, RuleSource, compile_program

RULES, SYMBOLS, OWNERS, RUNS = 20_000, 500, 512, 5
CHANGES, ASKED = 200, 15


def measure() -> Iterator[Figure]:
    rules = mixed_rules(1, RULES)
    sources = sources_of(rules, owners=OWNERS)
    written = [written_as_json(source) for source in sources]
    compiling = median_seconds(compile_program, [sources] * RUNS)
    reading = median_seconds(lambda texts: [json.loads(text) for text in texts], [written] * RUNS)
    first, later = _evaluations_after(compile_program(sources))
    yield Figure(
        "rules.compile",
        round(compiling / RULES * 1e6, 2),
        "us/rule",
        round(reading / RULES * 1e6, 2),
        "us a rule for json.loads of the same conditions and schedules",
        n=RUNS,
        notes=f"{RULES} rules of the mixed set; "
        f"the first evaluation after it takes {first * 1e3:.2f} ms, a later one {later * 1e3:.2f} ms",
    )
    yield _refresh(sources, compiling, time_kept_programs(rules, owners=OWNERS, runs=ASKED))
    yield memory(sources, written)


def written_as_json(source: RuleSource) -> str:
    """What a rule says as compact JSON text: [conditions], or [conditions, schedule]."""
    schedule = [] if source.schedule is None else [source.schedule]
    return json.dumps([source.conditions, *schedule], separators=(",", ":"))


def _read(key: int, source: RuleSource, text: str) -> RuleSource:
    """The same rule with a key, conditions and a schedule that nobody else has."""
    conditions, *schedule = json.loads(text)
    return replace(source, key=key, conditions=conditions, schedule=schedule[0] if schedule else None)


def _evaluations_after(program: Program) -> tuple[float, float]:
    """Seconds of the first evaluation, and of later ones: what compiling put off shows in the first."""
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(1 + RUNS)]
    return time_evaluations(program, worlds[:1]).seconds, time_evaluations(program, worlds[1:]).seconds


def _refresh(sources: Sequence[RuleSource], compiling: float, asked: tuple[float, float]) -> Figure:
    """One rule after another replaced in the program that the change before gave."""
    unchanged, changed = asked
    replacements = sources_of(mixed_rules(2, CHANGES), owners=OWNERS)
    changes = [
        (old.key, replace(new, key=("new", old.key), owner=old.owner))
        for old, new in zip(sources[:: RULES // CHANGES], replacements, strict=True)
    ]
    program = compile_program(sources)
    worlds = [make_world(seed, symbols=SYMBOLS, owners=OWNERS) for seed in range(2 * RUNS)]
    before = time_evaluations(program, worlds[:RUNS])

    def change(place: tuple[object, RuleSource]) -> Program:
        nonlocal program
        key, source = place
        program = program.refreshed(remove=[(source.owner, key)], add=[source])
        return program

    seconds = sorted(seconds_of_each(change, changes))
    after = time_evaluations(program, worlds[RUNS:])

    gone = {key for key, _ in changes}
    now = [*(source for source in sources if source.key not in gone), *(source for _, source in changes)]
    anew = compile_program(now).evaluate(worlds[-1].market, worlds[-1].owners)
    assert set(after.told) == set(anew), "a refreshed program differs"
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
        f"the same answers as compiled anew; compiled_program, which finds out what has changed, takes "
        f"{unchanged * 1e3:.2f} ms when nothing has, {changed * 1e3:.2f} ms when one rule has, which is not read",
    )


def memory(sources: Sequence[RuleSource], written: Sequence[str]) -> Figure:
    """What a program keeps alive once those who gave it the rules have let go of them."""
    count = len(sources)
    world = make_world(0, symbols=SYMBOLS, owners=OWNERS)
    compile_program(sources[:1]).evaluate(world.market, world.owners)  # what is made once and for all
    kept = compile_segment(sources).stored
    of_sources = (sys.getsizeof(kept) + sum(map(sys.getsizeof, kept))) / count
    text = sum(map(len, written)) / count
    del kept
    gc.collect()
    tracemalloc.start()
    begin, _ = tracemalloc.get_traced_memory()
    given = [
        _read(key, source, said) for key, (source, said) in enumerate(zip(sources, written, strict=True))
    ]
    made, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    program = compile_program(given)
    _, peak = tracemalloc.get_traced_memory()
    del given
    gc.collect()
    compiled, _ = tracemalloc.get_traced_memory()
    found = len(program.evaluate(world.market, world.owners))
    gc.collect()
    evaluated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del program
    held = (evaluated - begin) / count
    return Figure(
        "rules.memory",
        round(held - text),
        "bytes/rule",
        round(text),
        "bytes of a rule's conditions and schedule as JSON text, which are not counted in the value",
        n=1,
        notes=f"a program of {count} rules keeps {held:.0f} bytes a rule, after the first evaluation, when its "
        f"sources and the {found} triggered pairs are gone: all that Python and NumPy allocated, keys included; "
        f"{of_sources:.0f} of them are the stored conditions and schedules, {held - of_sources:.0f} the compiled "
        f"form; {(compiled - begin) / count:.0f} before that evaluation; the sources as objects had "
        f"{(made - begin) / count:.0f}, and the peak of compiling is {(peak - made) / count:.0f} beside them",
    )
