"""What people have explained of the difference between a broker's holdings and ours.

What is tolerated where nothing differs (a fill on its way, a split of these days, what is known and not bookable) is
tolerated beside an explained difference, too: so a broker's holdings are looked at without it as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from foundation.core.money import ZERO
from trading.core.reconciliation import NO_ROUNDING, Awaited, Finding, Holdings, compare


@dataclass(frozen=True)
class Explained:
    """How much more the broker has than our books: units by symbol, and cash. rounding: that of our books when the cash
    was explained (see `Holdings`)."""

    units: Mapping[str, Decimal] = field(default_factory=dict)
    cash: Decimal = ZERO
    rounding: tuple[Decimal, Decimal] = NO_ROUNDING

    def taken_off(self, *, ours: Holdings, theirs: Holdings) -> tuple[Holdings, Holdings]:
        """Both as they would be without it: our rounding is only what came since."""
        units = {
            symbol: theirs.units.get(symbol, ZERO) - self.units.get(symbol, ZERO)
            for symbol in {*theirs.units, *self.units}
        }
        rounding = (ours.rounding[0] - self.rounding[0], ours.rounding[1] - self.rounding[1])
        return replace(ours, rounding=rounding), replace(theirs, cash=theirs.cash - self.cash, units=units)


def compare_beside(
    explained: Explained, *, ours: Holdings, theirs: Holdings, awaited: Awaited
) -> tuple[list[Finding], frozenset[tuple[str, str]]]:
    """As `compare`, without what is explained, and (kind, key) of that."""
    found = compare(ours=ours, theirs=theirs, awaited=awaited)
    ours, theirs = explained.taken_off(ours=ours, theirs=theirs)
    beside = {(one.kind, one.key) for one in compare(ours=ours, theirs=theirs, awaited=awaited)}
    return (
        [one for one in found if (one.kind, one.key) in beside],
        frozenset((one.kind, one.key) for one in found if (one.kind, one.key) not in beside),
    )
