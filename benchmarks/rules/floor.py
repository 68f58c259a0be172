"""The floor of `rules.mixed`: NumPy gathers as many packed rows as the rules have comparisons, and ANDs them.

Any engine that keeps what a comparison says of all symbols as bits does at least this.
It is given what an engine has to find out first: which rows. It makes no list of pairs.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.rules.rule_set import Rule, comparisons_in
from benchmarks.timing import median_seconds

# Rules in one gather.
BLOCKS = (512, 1024, 2048, 4096, 8192, 10**9)

Packed = NDArray[np.uint64]
Places = NDArray[np.intp]  # [k, n]: k rows for each of n rules


@dataclass(frozen=True)
class Floor:
    """Median seconds in the fastest of all ways tried, and as one would write it first."""

    seconds: float
    how: str
    plain_seconds: float


def time_floor(rules: Sequence[Rule], *, symbols: int, runs: int) -> Floor:
    """Time both ways on random places, others in every run.

    The table has random bits and as many rows as there can be different ones: for a
    field and operator with thresholds one more than symbols, and one for each
    comparison of two fields and each schedule. Rules with equally many rows go together.
    """
    rng = np.random.default_rng(3)
    sizes: Counter[int] = Counter()
    ranked, single = set(), set()
    for rule in rules:
        comparisons = list(comparisons_in(rule["conditions"]))
        if "schedule" in rule:
            single.add(json.dumps(rule["schedule"]))
        sizes[len(comparisons) + ("schedule" in rule)] += 1
        for part in comparisons:
            if isinstance(part["value"], dict):
                single.add(json.dumps(part))
            else:
                ranked.add((part["field"], part["operator"]))
    rows = len(ranked) * (symbols + 1) + len(single)
    table = rng.integers(0, 2**63, (rows, (symbols + 63) // 64), dtype=np.uint64)

    def seconds(way: Callable[[list[Places]], list[Packed]]) -> float:
        return median_seconds(
            way, [[rng.integers(0, rows, shape) for shape in sorted(sizes.items())] for _ in range(runs)]
        )

    in_blocks = {block: seconds(partial(_joined_in_blocks, table, block)) for block in BLOCKS}
    fastest = min(in_blocks, key=lambda block: in_blocks[block])
    how = f"take and AND in place, {min(fastest, len(rules))} rules at a time"
    return Floor(in_blocks[fastest], how, seconds(partial(_joined, table)))


def _joined(table: Packed, drawn: Sequence[Places]) -> list[Packed]:
    return [np.bitwise_and.reduce(table[places], axis=0) for places in drawn]


def _joined_in_blocks(table: Packed, block: int, drawn: Sequence[Places]) -> list[Packed]:
    results = []
    for places in drawn:
        count = places.shape[1]
        result = np.empty((count, table.shape[1]), dtype=np.uint64)
        gathered = np.empty((min(block, count), table.shape[1]), dtype=np.uint64)
        for begin in range(0, count, block):
            part = result[begin : begin + block]
            np.take(table, places[0, begin : begin + block], axis=0, out=part, mode="clip")
            for row in places[1:]:
                other = gathered[: len(part)]
                np.take(table, row[begin : begin + block], axis=0, out=other, mode="clip")
                np.bitwise_and(part, other, out=part)
        results.append(result)
    return results
