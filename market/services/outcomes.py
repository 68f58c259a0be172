"""What became of advice: noted when it is stored, settled when it has expired, added up by source.

The reference is the newest quote when the advice was stored. A source that tells late what it had advised early
is measured from the moment when somebody here could act on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from market.core.calibration import ShareEvent, bin_of, came_true, squared_error, total_return_percentage
from market.models import (
    CorporateAction,
    Quote,
    Recommendation,
    RecommendationOutcome,
    RecommendationSource,
)
from market.selectors import market_now

BATCH = 2_000
BATCHES_MAX = 5
REFERENCE_AGE_MAX = timedelta(days=7)
"""an older quote is no price at which anybody could have followed the advice"""
PATIENCE = timedelta(days=30)
"""market time after its expiry at which advice whose instrument has no bar any more is given up"""


def expect_outcomes(rows: Sequence[Recommendation], *, now: datetime) -> None:
    """Note of newly stored advice that its outcome is awaited, in the caller's transaction.

    Advice that had expired before it came, or whose instrument has no price that is known, is not measured.
    """
    open_rows = [row for row in rows if row.expires_at > now]
    quotes = Quote.objects.filter(
        instrument__in={row.instrument_id for row in open_rows}, market_time__gt=now - REFERENCE_AGE_MAX
    ).in_bulk()
    RecommendationOutcome.objects.bulk_create(
        [
            RecommendationOutcome(
                recommendation=row,
                reference_price=quote.last,
                reference_at=quote.market_time,
                due_at=row.expires_at,
            )
            for row in open_rows
            if (quote := quotes.get(row.instrument_id)) is not None
        ]
    )


def settle_due() -> int:
    """Settle what has expired and has its bar, in batches with a bound; how many were settled."""
    now = market_now()
    if now is None:
        return 0
    settled = 0
    for _ in range(BATCHES_MAX):
        count = _settle_batch(now)
        settled += count
        if count < BATCH:
            _give_up(now)
            break
    return settled


class _Due(NamedTuple):
    recommendation_id: UUID
    source: str
    instrument_id: int
    recommendation: str
    confidence: float
    reference_price: Decimal
    reference_at: datetime
    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Settled:
    due: _Due
    return_percentage: float
    hit: bool | None


@transaction.atomic
def _settle_batch(now: datetime) -> int:
    due = _claim(now)
    if not due:
        return 0
    # Sources by name before their scores: two workers wait for each other in one direction only.
    names = sorted({row.source for row in due})
    list(RecommendationSource.objects.select_for_update(no_key=True).filter(pk__in=names).order_by("pk"))
    events = _share_events(due)
    settled = []
    for row in due:
        between = [
            event for at, event in events.get(row.instrument_id, ()) if row.reference_at < at <= row.at
        ]
        gained = total_return_percentage(row.reference_price, row.price, between)
        settled.append(_Settled(row, gained, came_true(row.recommendation, gained)))
    _store(settled)
    _add_up(settled)
    RecommendationSource.objects.filter(pk__in=names).update(revision=F("revision") + 1)
    return len(settled)


def _claim(now: datetime) -> list[_Due]:
    """Each with the first bar that completed at or after its expiry; locked, and skipped where another has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT advice.id, advice.source_id, advice.instrument_id, advice.recommendation, advice.confidence,
                   outcome.reference_price, outcome.reference_at, bar.at, bar.close
            FROM market_recommendationoutcome AS outcome
            JOIN market_recommendation AS advice ON advice.id = outcome.recommendation_id
            CROSS JOIN LATERAL (
                SELECT at, close FROM market_bar
                WHERE instrument_id = advice.instrument_id AND interval = '1d'
                  AND at >= outcome.due_at AND at <= %(now)s
                ORDER BY at LIMIT 1
            ) AS bar
            WHERE outcome.at IS NULL AND outcome.due_at <= %(now)s
            ORDER BY outcome.due_at LIMIT %(batch)s
            FOR NO KEY UPDATE OF outcome SKIP LOCKED
            """,
            {"now": now, "batch": BATCH},
        )
        return [_Due(*row) for row in cursor.fetchall()]


def _share_events(due: Iterable[_Due]) -> dict[int, list[tuple[datetime, ShareEvent]]]:
    """By instrument, in the order in which they happen; a dividend is paid on the units before a split."""
    rows = list(due)
    actions = CorporateAction.objects.filter(
        instrument_id__in={row.instrument_id for row in rows},
        ex_at__gt=min(row.reference_at for row in rows),
        ex_at__lte=max(row.at for row in rows),
        withdrawn_at=None,
    ).order_by("ex_at", "kind")
    events = defaultdict(list)
    for action in actions:
        if action.kind == CorporateAction.Kind.SPLIT:
            assert action.new_units and action.old_units, "the database holds that a split has both"
            event = ShareEvent(units=Decimal(action.new_units) / action.old_units)
        else:
            event = ShareEvent(cash=action.amount or Decimal(0))
        events[action.instrument_id].append((action.ex_at, event))
    return events


def _store(settled: Sequence[_Settled]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE market_recommendationoutcome AS outcome
            SET at = told.at, price = told.price, return_percentage = told.gained, hit = told.hit
            FROM unnest(%s::uuid[], %s::timestamptz[], %s::numeric[], %s::float8[], %s::bool[])
                 AS told (id, at, price, gained, hit)
            WHERE outcome.recommendation_id = told.id
            """,
            [
                [row.due.recommendation_id for row in settled],
                [row.due.at for row in settled],
                [row.due.price for row in settled],
                [row.return_percentage for row in settled],
                [row.hit for row in settled],
            ],
        )


def _add_up(settled: Sequence[_Settled]) -> None:
    """Into the scores, in the order of their keys. Their sources are locked."""
    sums: dict[tuple[object, ...], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    for row in settled:
        day = row.due.at.astimezone(UTC).date()
        entry = sums[row.due.source, day, row.due.recommendation, bin_of(row.due.confidence)]
        error = squared_error(row.due.confidence, row.hit)
        for place, amount in enumerate((1, int(row.hit is True), row.due.confidence, error)):
            entry[place] += amount
    rows = [(*key, *sums[key]) for key in sorted(sums, key=str)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO market_sourcescore AS score
                (source_id, day, recommendation, bin, count, hits, sum_confidence, sum_squared_error)
            SELECT * FROM unnest(%s::varchar[], %s::date[], %s::varchar[], %s::int[], %s::int[], %s::int[],
                                 %s::float8[], %s::float8[])
            ON CONFLICT (source_id, day, recommendation, bin) DO UPDATE SET
                count = score.count + excluded.count, hits = score.hits + excluded.hits,
                sum_confidence = score.sum_confidence + excluded.sum_confidence,
                sum_squared_error = score.sum_squared_error + excluded.sum_squared_error
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _give_up(now: datetime) -> None:
    """Of what no bar will settle any more: such advice is not measured."""
    RecommendationOutcome.objects.filter(at=None, due_at__lt=now - PATIENCE).delete()
