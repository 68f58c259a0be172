"""What portfolios own, kept by who asks for the same ones at each tick, and read again where it has changed.

What has changed triggers of the database tell (`portfolios.changes`), whoever's statement it was. Only the marks that
an evaluation notes itself are not read again: it says what became of them when it gives the columns back. It does so by
its commit, so what is taken and not given back, whatever went wrong, is read anew.

Each thread keeps for itself, and of each portfolio one row: a portfolio that has come into another slice is forgotten
with its old one. A slice is evaluated by one at a time; where several take turns, each is told what the others did.
"""

import threading
import uuid
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
from django.db import transaction

from portfolios.changes import LOOKED_SECONDS_MAX, Look, first_look, look_again
from portfolios.core.columns import OwnedColumns
from portfolios.selectors import unsettled_splits
from trading.services.owned import read_stored, with_unsettled

PORTFOLIOS_MAX = 262_144  # some 100 MB
KEPT = timedelta(seconds=300)  # then they are read anew, come what may
LOOKED = timedelta(seconds=LOOKED_SECONDS_MAX)


@dataclass(frozen=True)
class _Kept:
    """`since`: database time at which all of it was read."""

    columns: OwnedColumns
    since: datetime


class Keeper(threading.local):
    """The columns of slices by name, and what has changed of each since they were read."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._taken: tuple[Hashable, _Kept] | None = None
        self._name_of: dict[uuid.UUID, Hashable] = {}
        self._changed: dict[Hashable, set[uuid.UUID]] = {}
        self._last: Look | None = None
        self._own: set[int] = set()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._kept

    def columns(self, name: Hashable) -> OwnedColumns:
        """As they were given back."""
        return self._kept[name].columns

    def take(self, portfolio_ids: Sequence[uuid.UUID], *, name: Hashable) -> OwnedColumns:
        """What is stored of these portfolios, but for splits."""
        now = self._look()
        kept = self._kept.pop(name, None)
        changed = self._changed.pop(name, set())
        if kept is None or kept.columns.portfolio_ids != portfolio_ids or now - kept.since > KEPT:
            if kept is not None:
                self._strike(name, kept)
            self._enter(name, portfolio_ids)
            kept = _Kept(read_stored(portfolio_ids), now)
        elif changed:
            kept = replace(kept, columns=_read_again(kept.columns, changed))
        self._taken = name, kept
        return kept.columns

    def give_back(self, columns: OwnedColumns, *, name: Hashable) -> None:
        """By the commit of this transaction."""
        assert self._taken is not None and self._taken[0] == name, "what was taken last"
        kept = self._taken[1]
        unmarked = replace(columns, unsettled=np.zeros_like(columns.unsettled))
        transaction.on_commit(partial(self._keep, name, replace(kept, columns=unmarked)))

    def _keep(self, name: Hashable, kept: _Kept) -> None:
        self._kept[name] = kept
        self._kept.move_to_end(name)
        while len(self._name_of) > PORTFOLIOS_MAX and len(self._kept) > 1:
            self._strike(*self._kept.popitem(last=False))

    def _look(self) -> datetime:
        """Learn what has changed since the last look; where that cannot be told, all that is kept is forgotten."""
        told: Sequence[Sequence[uuid.UUID]] = ()
        if self._last is None:
            look = first_look()
        else:
            look, told = look_again(self._last, own=self._own)
            if look.connection != self._last.connection or look.at - self._last.at > LOOKED:
                self.forget()
                told = ()
        for portfolio_ids in told:
            self._note(portfolio_ids)
        self._own = {number for number in self._own if number >= look.oldest} | {look.transaction}
        self._last = look
        return look.at

    def _note(self, changed: Iterable[uuid.UUID]) -> None:
        for key in changed:
            name = self._name_of.get(key)
            if name is not None:
                self._changed.setdefault(name, set()).add(key)

    def _enter(self, name: Hashable, portfolio_ids: Sequence[uuid.UUID]) -> None:
        """From now on what changes of these is noted for this name, and no other has them."""
        for key in portfolio_ids:
            other = self._name_of.get(key)
            if other is not None and other != name and other in self._kept:
                self._strike(other, self._kept.pop(other))
            self._name_of[key] = name

    def _strike(self, name: Hashable, kept: _Kept) -> None:
        self._changed.pop(name, None)
        for key in kept.columns.portfolio_ids:
            if self._name_of.get(key) == name:
                del self._name_of[key]


KEEPER = Keeper()


def take_columns(portfolio_ids: Sequence[uuid.UUID], *, name: Hashable) -> OwnedColumns:
    """All that is stored of these portfolios, as `owned.read_columns` says it, within a transaction that writes.

    Who wants it kept gives it back (`give_back_columns`); nobody else may take the same name meanwhile.
    """
    unsettled = unsettled_splits(portfolio_ids)
    return with_unsettled(KEEPER.take(portfolio_ids, name=name), unsettled)


def give_back_columns(columns: OwnedColumns, *, name: Hashable) -> None:
    """Keep what was taken, with the marks as they are by now, once this transaction commits."""
    KEEPER.give_back(columns, name=name)


def _read_again(columns: OwnedColumns, changed: set[uuid.UUID]) -> OwnedColumns:
    """The same columns with those of the changed portfolios read again."""
    places = [place for place, key in enumerate(columns.portfolio_ids) if key in changed]
    return columns.renewed(places, read_stored([columns.portfolio_ids[place] for place in places]))
