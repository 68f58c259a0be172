"""Which instruments a portfolio may buy. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PERMITTED, RESTRICTED = "permitted", "restricted"


class Permission(NamedTuple):
    """of_platform: it holds for every portfolio."""

    instrument_id: int
    kind: str
    reason: str
    of_platform: bool


@dataclass(frozen=True)
class Permissions:
    """The lists of the platform and of one portfolio, which both must agree.

    `permitted` is one set of instruments for each list that there is; `restricted` gives the reason.
    """

    permitted: tuple[frozenset[int], ...] = ()
    restricted: Mapping[int, str] = field(default_factory=dict)

    def objection(self, instrument_id: int) -> str:
        """Why it may not be bought; empty when it may."""
        if instrument_id in self.restricted:
            return f"it is restricted: {self.restricted[instrument_id] or 'no reason is given'}"
        if not all(instrument_id in mine for mine in self.permitted):
            return "it is not on the list of permitted instruments"
        return ""


def loosens(
    *,
    permitted: Collection[str],
    restricted: Collection[str],
    old_permitted: Collection[str],
    old_restricted: Collection[str],
) -> bool:
    """Whether new lists in place of the old ones hold up less, in symbols.

    They do where a restriction goes, where a list of what is permitted grows, and where it is emptied, which permits
    all. A new list where there was none only tightens.
    """
    if set(old_restricted) - set(restricted):
        return True
    return bool(old_permitted) and (not permitted or bool(set(permitted) - set(old_permitted)))


def permissions_of(rows: Iterable[Permission]) -> Permissions:
    """Of the rows that hold for one portfolio; the platform's reason for a restriction comes first."""
    lists: dict[bool, set[int]] = {}
    restricted: dict[int, str] = {}
    for row in sorted(rows, key=lambda row: not row.of_platform):
        if row.kind == RESTRICTED:
            restricted.setdefault(row.instrument_id, row.reason)
        else:
            lists.setdefault(row.of_platform, set()).add(row.instrument_id)
    return Permissions(tuple(frozenset(mine) for mine in lists.values()), restricted)
