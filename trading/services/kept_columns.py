"""What portfolios own, kept by who asks for the same ones at each tick, and read again where it has changed.

What has changed triggers of the database tell (`portfolios.changes`), whoever's statement it was. Only the marks that
an evaluation notes itself are not read again: it says what became of them when it gives the columns back. It does so by
its commit, so what is taken and not given back, whatever went wrong, is read anew.

Each thread keeps for itself. A slice is evaluated by one at a time; where several take turns, each of them is told
what the others did.
"""

import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from django.db import transaction

from portfolios.changes import LOOKED_SECONDS_MAX, Changes, changes_since, no_changes_yet
from portfolios.core.columns import OwnedColumns
from portfolios.selectors import unsettled_splits
from trading.services.owned import read_stored, with_unsettled

KEPT_MAX = 125  # slices, each of some 800 kB
KEPT_SECONDS = 300.0  # then they are read anew, come what may
TOLD_MAX = 20_000  # statements that changed something


@dataclass(frozen=True)
class _Kept:
    """Columns as they were after the change of this number."""

    columns: OwnedColumns
    members: frozenset[uuid.UUID]
    told: int
    since: float


class _Keeper(threading.local):
    """The columns of slices by name, and the changes that were told since, numbered."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self.taken: dict[Hashable, _Kept] = {}
        self.told = 0
        self._changes: deque[Sequence[uuid.UUID]] = deque()
        self._since: int | None = None
        self._looked = 0.0
        self._seen: set[int] = set()
        self._own: set[int] = set()

    def look(self) -> None:
        """Learn what has changed since the last look; where that cannot be told, everything kept is forgotten."""
        known, now = self._since is not None, time.monotonic()
        changes = changes_since(self._since) if self._since is not None else no_changes_yet()
        if known and (now - self._looked > LOOKED_SECONDS_MAX or changes.next_since < self._since):  # type: ignore[operator]
            known = False  # they may be pruned, or it is another server
        if not known:
            self.kept.clear()
        self._note(changes)
        self._since, self._looked = changes.next_since, now

    def _note(self, changes: Changes) -> None:
        for row in changes.rows:
            own = row.is_mark and row.transaction in self._own
            if row.id not in self._seen and not own:
                self.told += 1
                self._changes.append(row.portfolio_ids)
        while len(self._changes) > TOLD_MAX:
            self._changes.popleft()
        self._seen = {row.id for row in changes.rows}
        self._own = {number for number in self._own if number >= changes.next_since}
        self._own.add(changes.transaction)

    def changed(self, kept: _Kept) -> set[uuid.UUID] | None:
        """Which of its portfolios have changed; None when that is forgotten."""
        missed = self.told - kept.told
        if missed > len(self._changes):
            return None
        found: set[uuid.UUID] = set()
        for place in range(len(self._changes) - missed, len(self._changes)):
            found.update(kept.members.intersection(self._changes[place]))
        return found

    def give_back(self, name: Hashable, kept: _Kept) -> None:
        self.kept[name] = kept
        self.kept.move_to_end(name)
        while len(self.kept) > KEPT_MAX:
            self.kept.popitem(last=False)


_keeper = _Keeper()


def take_columns(portfolio_ids: Sequence[uuid.UUID], *, name: Hashable) -> OwnedColumns:
    """All that is stored of these portfolios, as `owned.read_columns` says it, within a transaction that writes.

    Who wants it kept gives it back (`give_back_columns`); nobody else may take the same name meanwhile.
    """
    unsettled = unsettled_splits(portfolio_ids)
    _keeper.look()
    told, now = _keeper.told, time.monotonic()
    kept = _keeper.kept.pop(name, None)
    changed = None
    if kept is not None and kept.columns.portfolio_ids == portfolio_ids and now - kept.since <= KEPT_SECONDS:
        changed = _keeper.changed(kept)
    if kept is None or changed is None:
        kept = _Kept(read_stored(portfolio_ids), frozenset(portfolio_ids), told, now)
    elif changed:
        kept = replace(kept, columns=_read_again(kept.columns, changed), told=told)
    else:
        kept = replace(kept, told=told)
    _keeper.taken[name] = kept
    return with_unsettled(kept.columns, unsettled)


def give_back_columns(columns: OwnedColumns, *, name: Hashable) -> None:
    """Keep what was taken, with the marks as they are by now, once this transaction commits."""
    kept = replace(
        _keeper.taken.pop(name), columns=replace(columns, unsettled=np.zeros_like(columns.unsettled))
    )
    transaction.on_commit(partial(_keeper.give_back, name, kept))


def _read_again(columns: OwnedColumns, changed: set[uuid.UUID]) -> OwnedColumns:
    """The same columns with those of the changed portfolios read again."""
    places = [place for place, key in enumerate(columns.portfolio_ids) if key in changed]
    return columns.renewed(places, read_stored([columns.portfolio_ids[place] for place in places]))
