"""Timing a program's evaluations: other facts in every run, until the triggered pairs exist as a list."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rules.world import World
from benchmarks.timing import seconds_of_each
from rules.core.program import Program


@dataclass(frozen=True)
class Evaluations:
    """Median seconds of one evaluation, and how many pairs were triggered on average."""

    seconds: float
    found: float


def time_evaluations(program: Program, worlds: Sequence[World]) -> Evaluations:
    """One evaluation of each world, none of which the program has seen before."""
    found: list[int] = []
    seconds = seconds_of_each(
        lambda world: program.evaluate(world.market, world.owned),
        worlds,
        look=lambda triggered: found.append(len(triggered)),
    )
    return Evaluations(statistics.median(seconds), statistics.mean(found))
