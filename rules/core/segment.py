"""Rules compiled into arrays: what a program evaluates.

A segment is immutable. It numbers what can be a row of bits: *literals* (distinct
tests of market facts, sorted by family and number), *inner* tests of portfolio facts
within groups (all ones or all zeros, by owner), ONES, and *groups*. A rule is then

- its own tests of portfolio facts, looked at first, for all rules at once;
- a *top*: a conjunction of rows, shared by all rules that have the same;
- a *check*: what only pairs of owner and symbol can tell, in postfix notation, looked
  at for the few pairs that the top leaves. Within a top such tests count as true, so
  a top never leaves out a pair for which the whole rule is true.
"""

import pickle
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rules.core.bits import Flags
from rules.core.codes import LEVELS, Level
from rules.core.facts import Vector
from rules.core.rows import RowPlan
from rules.core.source import RuleSource

Ints = NDArray[np.int32]
AND, OR = -1, -2  # in a check; anything else is the place of a test


class Bound(IntEnum):
    """Where a rule may look."""

    ANYWHERE = 0  # it speaks of no symbol at all
    ELIGIBLE = 1  # the market's symbols within the owner's universe
    HELD = 2  # what is held within the universe, listed or not
    HELD_ELIGIBLE = 3  # both: an entry that asks for its own position
    UNHELD_TOO = 4  # and what is neither held nor being bought: there its check is true, whatever else holds


@dataclass(frozen=True, slots=True)
class OwnerTests:
    """Tests of portfolio facts sorted by code; test i is asked of owner (or rule) `of[i]`."""

    codes: tuple[int, ...]
    bounds: tuple[int, ...]  # tests bounds[c] … bounds[c + 1] have codes[c]
    of: Ints
    numbers: Vector


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of one kind and arity k: row first + i joins the rows children[:, i] (int32[k, n])."""

    is_and: bool
    first: int
    children: Ints


@dataclass(frozen=True, slots=True)
class Checks:
    """The postfix code of rule r is code[starts[r] : starts[r] + lengths[r]]; tests by their place.

    A test is its Test, its left and right column, and its number. columns: all that are read.
    """

    starts: Ints
    lengths: Ints
    code: Ints
    test: NDArray[np.int8]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    numbers: Vector
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """See the module. Arrays are over the rules unless said otherwise.

    keys, owner_names: of the verdicts. stored: the rest of the sources, pickled because
    they take far less memory than as objects, for joining segments. owner: place in `owners`. bound: a Bound.
    whole: fires for the portfolio as a whole. top: place among the tops, which stand in
    `tops` by arity (int32[k, n]); by_top: the rules in that order. ones: number of the row of ones.
    """

    keys: NDArray[np.object_]
    owner_names: NDArray[np.object_]
    stored: tuple[bytes, ...]
    owners: tuple[Hashable, ...]
    owner: Ints
    bound: NDArray[np.int8]
    whole: Flags
    own: OwnerTests
    rows: RowPlan
    inner: OwnerTests
    groups: tuple[Groups, ...]
    ones: int
    tops: tuple[Ints, ...]
    top: Ints
    by_top: Ints
    checks: Checks

    @property
    def reads_positions(self) -> bool:
        """Whether anything depends on what is held."""
        return bool((self.bound >= Bound.HELD).any()) or any(
            LEVELS[column] is Level.POSITION for column in self.checks.columns
        )

    @property
    def top_count(self) -> int:
        return sum(matrix.shape[1] for matrix in self.tops)

    @property
    def single(self) -> bool:
        """Whether every rule has a top of its own."""
        return self.top_count == len(self.top)

    def source(self, rule: int) -> RuleSource:
        """The rule as it came."""
        return RuleSource(self.keys[rule], self.owner_names[rule], *pickle.loads(self.stored[rule]))  # noqa: S301 - of our own making


def stored(rule: RuleSource) -> bytes:
    """What a rule says, without its names; it never leaves the process."""
    said = (rule.rule_type, rule.conditions, rule.trades, rule.schedule, rule.blocks)
    return pickle.dumps(said, protocol=pickle.HIGHEST_PROTOCOL)
