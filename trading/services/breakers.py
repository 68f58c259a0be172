"""Circuit breakers of portfolios: what they are worth, how they lose, and how fast they order.

Each trips at most once in an episode (`trading.core.breakers`), however many workers look at once: the database
has two unique indexes for it. A breaker's halt is `reduce_only`, so exits go on, but for that of
reconciliation; a person releases it, but for those of outages (`trading.services.outages`).
The platform's breakers, which are about silence, are in `trading.services.watching`.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Q

from foundation.clock import database_now
from foundation.loading import load_where
from portfolios.core.limits import EffectiveLimits
from portfolios.models import PortfolioMark
from portfolios.selectors import effective_limits
from trading.core import breakers as core
from trading.core.breakers import Breaker, Tripped
from trading.models import Halt
from trading.selectors.breakers import (
    losing_runs,
    messages_last_minute,
    rejections_last_minute,
    running_sessions,
)
from trading.services.emergency_stop import REASON_CHARACTERS_MAX, arm
from trading.services.worth import Worth

Scope = Halt.Scope
TOLERANCE = 1e-6


def trip(
    *, breaker: str, scope: str, scope_id: str, episode: str, reason: str, numbers: Mapping[str, Any]
) -> Halt | None:
    """Arm the breaker's halt; None when it is in force in this scope, or tripped in this episode before.

    Of several who find the same at once exactly one arms. `numbers` are JSON values, Decimal, datetime, UUID. The
    halt stands as soon as the caller's transaction commits, or at once when there is none. Raises as `arm`.
    """
    known = _known(breaker, scope).filter(scope_id=scope_id)
    if known.filter(Q(released_at=None) | Q(episode=episode)).exists():
        return None
    tripped = Tripped(Breaker(breaker), episode, reason, numbers)
    try:
        with transaction.atomic():
            return arm(
                scope=scope, scope_id=scope_id, mode=tripped.breaker.mode, actor=None, tripped=tripped,
                reason=reason[:REASON_CHARACTERS_MAX],
            )  # fmt: skip
    except IntegrityError as error:
        if "halt_of_a_breaker" in str(error):
            return None  # somebody else was faster
        raise


def _known(breaker: str, scope: str) -> Any:
    return Halt.objects.filter(armed_by_breaker=breaker, scope=scope)


def trip_on_losses(
    worth: Worth, *, session_ids: Mapping[uuid.UUID, uuid.UUID | None], market_day: date
) -> list[Halt]:
    """Daily loss and drawdown. One query tells the tightest limits that there are; only of portfolios that have lost as
    much, the limits in force and the marks are read, and whether they tripped already.

    An equity with an unknown price is NaN, which is no loss: entries are refused while it is.
    """
    facts, ids = worth.valued.portfolio, worth.columns.portfolio_ids
    losses, downs = -facts["daily_pnl_percentage"], facts["drawdown_percentage"]
    losing = np.flatnonzero((losses > 0) | (downs > 0))
    if not len(losing):
        return []
    loss_least, down_least = worth.view.tightest_loss_limits()
    # What is exact is told from these by 8 decimal places of a percentage.
    suspects = losing[
        (losses[losing] >= loss_least - TOLERANCE) | (downs[losing] >= down_least - TOLERANCE)
    ].tolist()
    if not suspects:
        return []
    limits = effective_limits({ids[place]: session_ids.get(ids[place]) for place in suspects})
    marks = load_where(PortfolioMark, "t.portfolio_id = ANY(%s)", [[ids[place] for place in suspects]])
    peaks = {row.portfolio_id: row.peak_equity for row in marks}
    found: dict[uuid.UUID, list[Tripped | None]] = {}
    for place in suspects:
        key = ids[place]
        found[key] = [
            core.daily_loss(
                pnl_percentage=-float(losses[place]), market_day=market_day,
                limit=limits[key].values["max_daily_loss_percentage"],
            ),
            core.drawdown(
                drawdown_percentage=float(downs[place]), peak=peaks[key],
                limit=limits[key].values["max_drawdown_percentage"],
            ) if key in peaks else None,
        ]  # fmt: skip
    return _trip_portfolios(found)


def trip_on_streaks(portfolio_ids: Collection[uuid.UUID]) -> list[Halt]:
    """Losses in a row, counted from what is booked."""
    runs = {key: run for key, run in losing_runs(portfolio_ids).items() if run.losses}
    return _trip_limited(
        runs, lambda key, limits: core.losing_streak(run=runs[key], limit=limits.values["max_losing_streak"])
    )


def trip_on_rates() -> list[Halt]:
    """Rejections and orders within the last minute of database time, in every portfolio that has any."""
    now = database_now()
    rejected, sent = rejections_last_minute(), messages_last_minute()
    return _trip_limited(
        rejected,
        lambda key, limits: core.rejection_rate(
            rejected=rejected[key], limit=limits.values["max_rejections_per_minute"], now=now
        ),
    ) + _trip_limited(
        sent,
        lambda key, limits: core.order_rate(
            messages=sent[key], limit=limits.values["max_messages_per_minute"], now=now
        ),
    )


def _trip_limited(
    portfolio_ids: Iterable[uuid.UUID], judge: Callable[[uuid.UUID, EffectiveLimits], Tripped | None]
) -> list[Halt]:
    """Judge each portfolio by its own limits, those of its running session included."""
    wanted = list(portfolio_ids)
    if not wanted:
        return []
    sessions = running_sessions(wanted)
    limits = effective_limits({key: sessions.get(key) for key in wanted})
    return _trip_portfolios({key: [judge(key, limits[key])] for key in wanted})


def _trip_portfolios(found: Mapping[uuid.UUID, Iterable[Tripped | None]]) -> list[Halt]:
    """Trip what is new, in the portfolios' order. One query tells what is not, however long a loss lasts."""
    tripped = [(str(key), one) for key in sorted(found) for one in found[key] if one is not None]
    if not tripped:
        return []
    rows = Halt.objects.filter(
        armed_by_breaker__in={one.breaker for _, one in tripped},
        scope=Scope.PORTFOLIO,
        scope_id__in={key for key, _ in tripped},
    ).filter(Q(released_at=None) | Q(episode__in={one.episode for _, one in tripped}))
    in_force, over = set(), set()
    for breaker, key, episode, released_at in rows.values_list(
        "armed_by_breaker", "scope_id", "episode", "released_at"
    ):
        over.add((breaker, key, episode))
        if released_at is None:
            in_force.add((breaker, key))
    return [
        halt
        for key, one in tripped
        if (one.breaker, key) not in in_force and (one.breaker, key, one.episode) not in over
        if (halt := trip_found(one, scope=Scope.PORTFOLIO, scope_id=key)) is not None
    ]


def trip_found(found: Tripped, *, scope: str, scope_id: str = "") -> Halt | None:
    return trip(
        breaker=found.breaker, scope=scope, scope_id=scope_id, episode=found.episode, reason=found.reason,
        numbers=found.numbers,
    )  # fmt: skip
