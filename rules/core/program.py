"""Many rules of many owners as one program over vectors.

Equal conditions are one row of bits and are evaluated once: market conditions over all
symbols for everybody, portfolio conditions once a rule, conditions on positions for the
few pairs of owner and symbol that nothing else has ruled out.

A program is a few *segments*, large ones before small ones. Changing a rule marks the
old one as removed and adds a small segment; segments of like size are joined, so that
there are never many of them and a rule is compiled anew only a few times, however
many changes follow (the idea of a log-structured merge tree).

`rules.core.explanation` tells the same verdicts one by one on separate code; a
property test holds the two equal.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Self

import numpy as np

from rules.core.bits import Flags
from rules.core.compiler import compile_segment
from rules.core.evaluation import Count, evaluate_segment
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.owned import OwnedFacts
from rules.core.segment import Segment
from rules.core.source import RuleSource, TooManyTriggered, Triggered
from rules.core.spaces import Spaces

__all__ = ["Program", "RuleSource", "TooManyTriggered", "Triggered", "compile_program"]

# A segment is joined with the one before it unless that is so many times as large.
_GROWTH = 4
_FEW = 16  # names that are looked for one by one

RuleName = tuple[Hashable, Hashable]  # owner and key


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    segment: Segment
    names: np.ndarray[tuple[int], np.dtype[np.int64]]  # hashes of (owner, key), to find a rule by
    removed: Flags | None = None

    @classmethod
    def of(cls, rules: Sequence[RuleSource]) -> Self:
        names = (hash((rule.owner, rule.key)) for rule in rules)
        return cls(compile_segment(rules), np.fromiter(names, np.int64, count=len(rules)))

    @property
    def size(self) -> int:
        return len(self.names) - (0 if self.removed is None else int(self.removed.sum()))

    def rules(self) -> list[RuleSource]:
        """Those in force."""
        return [self.segment.source(place) for place in np.flatnonzero(~self._gone()).tolist()]

    def without(self, names: Set[RuleName]) -> "_Part":
        """Mark rules as removed; names of the same hash are told apart."""
        if not names:
            return self
        hashes = [hash(name) for name in names]
        if len(hashes) < _FEW:
            found = np.concatenate([np.flatnonzero(self.names == number) for number in hashes])
        else:
            found = np.flatnonzero(np.isin(self.names, hashes))
        owners, keys = self.segment.owner_names, self.segment.keys
        places = [place for place in found.tolist() if (owners[place], keys[place]) in names]
        if not places:
            return self
        gone = self._gone().copy()
        gone[places] = True
        return _Part(self.segment, self.names, gone)

    def _gone(self) -> Flags:
        return np.zeros(len(self.names), dtype=np.bool_) if self.removed is None else self.removed


class Program:
    """Compiled rules; immutable, so one program serves any number of evaluations and threads."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = tuple(parts)

    @property
    def row_count(self) -> int:
        """Distinct literals and groups: what is evaluated over all symbols."""
        return sum(
            part.segment.rows.size + sum(group.children.shape[1] for group in part.segment.groups)
            for part in self._parts
        )

    @property
    def segment_count(self) -> int:
        return len(self._parts)

    def __len__(self) -> int:
        """Rules in force."""
        return sum(part.size for part in self._parts)

    def evaluate(
        self,
        market: MarketFacts,
        owners: Mapping[Hashable, PortfolioFacts] | OwnedFacts,
        *,
        triggered_max: int | None = None,
    ) -> list[Triggered]:
        """Every (rule, symbol) that is true, in the order of the rules, then of the symbols.

        The facts of the owners come one by one, or as columns by who has them so.

        The order of the rules is that of compilation, changed ones last. A rule whose
        owner has no facts here is silent, like any rule without facts. Raises
        TooManyTriggered, before there is a list of them, when an owner has more than
        `triggered_max`.
        """
        if isinstance(owners, OwnedFacts):
            owned = owners
        else:
            reads_positions = any(part.segment.reads_positions for part in self._parts)
            owned = OwnedFacts.of(owners, positions=reads_positions)
        spaces = Spaces(market, owned)
        count = Count(owned.owners, triggered_max)
        triggered: list[Triggered] = []
        for part in self._parts:
            triggered += evaluate_segment(part.segment, spaces, removed=part.removed, count=count)
        return triggered

    def refreshed(self, *, remove: Iterable[RuleName] = (), add: Sequence[RuleSource] = ()) -> "Program":
        """The same program without the rules `remove` (owner, key), and with others, which replace those of
        their names.

        Work grows with what changes, not with what stays. Raises InvalidConditionsError.
        """
        names = frozenset([*remove, *((rule.owner, rule.key) for rule in add)])
        kept = [part for part in (part.without(names) for part in self._parts) if part.size]
        first, joined = len(kept), len(add)  # what is joined with `add`: kept[first:]
        size = joined
        for place in reversed(range(len(kept))):
            part = kept[place]
            joined += part.size
            if part.size < _GROWTH * size or 2 * part.size < len(part.names):
                first, size = place, joined
            else:
                size = part.size
        rules = [rule for part in kept[first:] for rule in part.rules()] + [*add]
        return Program([*kept[:first], _Part.of(rules)] if rules else kept)


def compile_program(rules: Sequence[RuleSource]) -> Program:
    """Share equal nodes of all rules; InvalidConditionsError names the rule that does not parse."""
    return Program([_Part.of(rules)] if rules else [])
