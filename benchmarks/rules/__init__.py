"""The rule engine: how fast many rules are told on many symbols, and what they cost to keep ready."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.rules import growth, mixed, simple, upkeep


def measure() -> Iterator[Figure]:
    for part in (simple, mixed, upkeep, growth):
        yield from part.measure()
