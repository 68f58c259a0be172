"""Deciding a slice in parts, where more has triggered than one transaction should decide. Pure.

When a market falls, the rules of every session may fire at one tick. Their decisions would take a transaction that
holds every portfolio's lock for half a minute, and does it anew from nothing should it fail. So a part has so many
decisions at most, and portfolios are whole.

Portfolios stand on a circle, by their ids. A slot begins after some portfolio, and is over when the circle is closed.
When a newer snapshot is out before, the new slot goes on where the old one was left, all around: so each portfolio has
its turn, however fast the market is, and none is decided twice in one slot.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NOBODY = uuid.UUID(int=0)
"""before every portfolio: where a circle begins that is nowhere begun"""


@dataclass(frozen=True)
class Arc:
    """The portfolios after one up to another, both around the circle; from one to itself is all of it."""

    after: uuid.UUID = NOBODY
    through: uuid.UUID = NOBODY

    def __contains__(self, portfolio_id: uuid.UUID) -> bool:
        if self.after < self.through:
            return self.after < portfolio_id <= self.through
        return portfolio_id > self.after or portfolio_id <= self.through

    def first(self, hits: Iterable[uuid.UUID], *, count_max: int) -> "Arc":
        """The part to decide now: of the portfolios of each hit, so many from the beginning that they have at most
        `count_max` hits, one portfolio at least; all of it where there are no more."""
        counts = Counter(key for key in hits if key in self)
        total, last = 0, None
        for key in sorted(counts, key=lambda key: (key <= self.after, key)):
            total += counts[key]
            if total > count_max and last is not None:
                return Arc(self.after, last)
            last = key
        return self


def arc_to_decide(*, slot: int, begun_slot: int, begun_after: uuid.UUID, decided_through: uuid.UUID) -> Arc:
    """What of a slice is left to decide in a slot, by what its row says."""
    return Arc(decided_through, begun_after if slot == begun_slot else decided_through)
