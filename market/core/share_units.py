"""Bars of before a split or a dividend in the units of today. Pure.

A stored bar says what was traded, in the units of its own day or of a later one (`basis`), and is never rewritten.
Read together with later bars it must be in their units: a moving average over both sides of a 2:1 split would otherwise
be a mean of two different things, and a rule would sell what has lost nothing.

Splits scale prices by old/new units and volumes by new/old. Dividends scale prices by 1 - amount / last close before
the ex date, so that a change from day to day is the holder's total return (CRSP's and Yahoo's adjusted prices are made
so).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import numpy as np

from market.core.indicators import Floats

_CLOSE, _VOLUME = 3, 4


@dataclass(frozen=True, slots=True)
class ShareAction:
    """`ex_at`: epoch seconds from which prices are without it. units: new for one old, 1 for a dividend. cash: for each
    unit of before, 0 for a split."""

    ex_at: float
    units: float = 1.0
    cash: float = 0.0


def units_of(day: date) -> datetime:
    """The moment whose units prices are in that were adjusted for all that happened until the end of a day."""
    return datetime.combine(day, time.max, tzinfo=UTC)


def in_present_units(bars: Floats, *, at: Floats, basis: Floats, actions: Sequence[ShareAction]) -> Floats:
    """float64[T, 5] open, high, low, close, volume, in the units of after all the actions; the same array if nothing
    changes.

    at: float64[T], when each bar completed, rising. basis: float64[T], in the units of which moment each is, in epoch
    seconds both. actions: those that are in force, in any order.
    """
    changed = bars
    for action in sorted(actions, key=lambda one: one.ex_at):
        older = (at < action.ex_at) & (basis < action.ex_at)
        if not older.any():
            continue
        price = _price_factor(action, bars, at=at, basis=basis)
        if changed is bars:
            changed = bars.copy()
        changed[older, :_VOLUME] *= price
        changed[older, _VOLUME] *= action.units
    return changed


def _price_factor(action: ShareAction, bars: Floats, *, at: Floats, basis: Floats) -> float:
    if not action.cash:
        return 1.0 / action.units
    # The last bar before it, which is in the units that the dividend was paid on.
    before = np.flatnonzero((at < action.ex_at) & (basis < action.ex_at))[-1]
    kept = 1.0 - action.cash / bars[before, _CLOSE]
    return float(kept) if kept > 0 else 1.0  # more than the share was worth: it cannot be
