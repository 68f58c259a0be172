"""Learning the built-in model anew from time to time, and which of those learned is in use.

Due after RETRAIN_SESSIONS market days with bars since the last one; each that was learned is kept with what it is
worth. One that was not better than stating the base rate is not used: the one before goes on, or the frequencies of
`market/core/recommender.py`, which need no training.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import structlog
from django.db import transaction

from foundation import leases
from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.core.indicators import Floats
from market.core.model import Parameters
from market.core.recommender import HISTORY_BARS_MAX
from market.models import Bar, Instrument, RecommenderModel
from market.selectors import BarHistory, market_now, recent_bars

log = structlog.get_logger(__name__)

LEASE_NAME, LEASE_SECONDS = "market.training", 700
"""longer than the task may run, so that nobody learns beside one who still does"""
RETRAIN_SESSIONS = 21
RETRY_SESSIONS = 1
"""after there was too little to learn from"""
INSTRUMENTS_AT_ONCE = 20


class Learned(Protocol):
    """What `market.learning.learn` gives; it is handed in, for it loads scikit-learn."""

    @property
    def parameters(self) -> Parameters: ...
    @property
    def metrics(self) -> dict[str, Any]: ...
    @property
    def is_worth_it(self) -> bool: ...


Learn = Callable[..., Learned | None]


def model_in_use(now: datetime) -> RecommenderModel | None:
    """The newest that is worth it and knows nothing later than `now`; a replay that begins anew finds none."""
    usable = RecommenderModel.objects.filter(in_use=True, trained_through__lte=now)
    return usable.order_by("-trained_through", "-trained_at").first()


def train_if_due(*, learn: Learn, holder: str) -> RecommenderModel | None:
    """Learn from all bars of active instruments up to the market's time; what was stored, None if nothing was.

    No transaction is open while it learns. Any number of trainers may ask: a lease lets one.
    """
    now = market_now()
    if now is None or not _is_due(now):
        return None
    lease = leases.acquire(name=LEASE_NAME, holder=holder, seconds=LEASE_SECONDS)
    if lease is None:
        return None
    try:
        if not _is_due(now):
            return None  # another had just finished
        bars, at = aligned_bars(_histories(now))
        return _store(learn(bars=bars, at=at), datetime.fromtimestamp(np.nanmax(at), tz=UTC), lease)
    finally:
        leases.release(lease)


def aligned_bars(histories: list[BarHistory]) -> tuple[Floats, Floats]:
    """Bars float64[5, T, S] and times float64[T, S], each column aligned at its newest bar, NaN above."""
    length = max(len(history.at) for history in histories)
    bars = np.full((5, length, len(histories)), np.nan)
    at = np.full((length, len(histories)), np.nan)
    for column, history in enumerate(histories):
        bars[:, length - len(history.at) :, column] = history.bars.T
        at[length - len(history.at) :, column] = history.at
    return bars, at


def _is_due(now: datetime) -> bool:
    bars = Bar.objects.filter(interval=Bar.Interval.DAY, instrument__is_active=True, at__lte=now)
    last = RecommenderModel.objects.filter(trained_through__lte=now).order_by("-trained_through").first()
    if last is None:
        return bars.exists()
    wait = RETRAIN_SESSIONS if last.parameters is not None else RETRY_SESSIONS
    days = (
        bars.filter(at__gt=last.trained_through)
        .values_list("at__date", flat=True)
        .distinct()
        .order_by("at__date")
    )
    return len(days[:wait]) >= wait


def _histories(now: datetime) -> list[BarHistory]:
    """In several questions, for none may take long."""
    identities = list(
        Instrument.objects.filter(is_active=True).order_by("symbol").values_list("pk", flat=True)
    )
    found = []
    for start in range(0, len(identities), INSTRUMENTS_AT_ONCE):
        some = identities[start : start + INSTRUMENTS_AT_ONCE]
        for history in recent_bars(instrument_ids=some, count_max=HISTORY_BARS_MAX).values():
            known = history.at <= now.timestamp()  # what completed since the market's time was looked at
            if known.any():
                found.append(BarHistory(at=history.at[known], bars=history.bars[known]))
    return found


@transaction.atomic
def _store(learned: Learned | None, through: datetime, lease: leases.HeldLease) -> RecommenderModel | None:
    if not leases.renew(lease, seconds=LEASE_SECONDS):
        return None  # it took too long, and another learns by now
    if learned is None:
        row = RecommenderModel(version=f"untrained-{through:%Y-%m-%dT%H%M}", in_use=False)
    else:
        row = RecommenderModel(
            version=learned.parameters.version(through.date()),
            parameters=learned.parameters.as_json(),
            metrics=learned.metrics,
            in_use=learned.is_worth_it,
        )
    stored, is_new = RecommenderModel.objects.get_or_create(
        version=row.version,
        defaults={
            "trained_through": through, "parameters": row.parameters, "metrics": row.metrics, "in_use": row.in_use
        },
    )  # fmt: skip
    log.info("recommender_trained", version=stored.version, in_use=stored.in_use)
    if is_new and learned is not None:
        kind = "recommender.trained" if stored.in_use else "recommender.rejected"
        told = {name: value for name, value in learned.metrics.items() if name != "parts"}
        payload = {"version": stored.version, "trained_through": through, **told}
        append([Event(PLATFORM_STREAM, kind, database_now(), payload)])
    return stored
