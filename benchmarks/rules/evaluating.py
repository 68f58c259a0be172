"""Timing a program's evaluations: other facts in every run, until the triggered pairs exist as a list."""

import gc
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rules.world import World
from benchmarks.timing import seconds_of_each
from rules.core.program import Program, Triggered


@dataclass(frozen=True)
class Evaluations:
    """Median seconds of one evaluation, how many pairs were triggered on average, and what the last one told."""

    seconds: float
    found: float
    told: list[Triggered]


def time_evaluations(program: Program, worlds: Sequence[World]) -> Evaluations:
    """One evaluation of each world, none of which the program has seen before, of facts as a worker makes them.

    Python's garbage collector runs as always, but does not look through what the
    benchmark itself keeps: all the other worlds, and the rules as objects.
    """
    found: list[int] = []
    told: list[Triggered] = []

    def look(triggered: list[Triggered]) -> None:
        found.append(len(triggered))
        told[:] = triggered if len(found) == len(worlds) else ()

    gc.collect()
    gc.freeze()
    try:
        seconds = seconds_of_each(
            lambda world: program.evaluate(world.market, world.owners), worlds, look=look
        )
    finally:
        gc.unfreeze()
    return Evaluations(statistics.median(seconds), statistics.mean(found), told)
