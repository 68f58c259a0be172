"""Reads of how well sources have done."""

from datetime import UTC, date, datetime, timedelta

from django.db.models import Sum

from market.core.calibration import Calibration, Tally, assess
from market.models import RecommendationOutcome, SourceScore

CALIBRATION_DAYS = 365
"""market days back, from which a source is judged"""
HIT_RATE_OUTCOMES_MIN = 30
"""scored outcomes below which a hit rate says too little to be a fact"""


def first_day(last: date) -> date:
    """Of the days by which a source is judged, when `last` is the last."""
    return max(last, date.min + timedelta(days=CALIBRATION_DAYS)) - timedelta(days=CALIBRATION_DAYS - 1)


def calibration(*, source: str, first: date | None = None, last: date | None = None) -> Calibration:
    """What is told of a source from the outcomes that were settled from `first` to `last`, both included."""
    scores = SourceScore.objects.filter(source=source)
    if first is not None:
        scores = scores.filter(day__gte=first)
    if last is not None:
        scores = scores.filter(day__lte=last)
    sums = scores.values_list("recommendation", "bin").annotate(
        Sum("count"), Sum("hits"), Sum("sum_confidence"), Sum("sum_squared_error")
    )
    return assess(Tally(*row) for row in sums.order_by("recommendation", "bin"))


def waiting(*, source: str) -> int:
    """How many pieces of its advice have no outcome yet."""
    return RecommendationOutcome.objects.filter(at=None, recommendation__source=source).count()


def hit_rates(*, as_of: datetime) -> dict[str, float]:
    """By source the share of hits over CALIBRATION_DAYS; sources with fewer than HIT_RATE_OUTCOMES_MIN are absent."""
    last = as_of.astimezone(UTC).date()
    sums = (
        SourceScore.objects.filter(day__gte=first_day(last), day__lte=last)
        .exclude(recommendation="HOLD")
        .values_list("source_id")
        .annotate(Sum("count"), Sum("hits"))
    )
    return {source: hits / count for source, count, hits in sums if count >= HIT_RATE_OUTCOMES_MIN}
