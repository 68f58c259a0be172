"""Claiming slices. A claim is a row lock that the evaluating transaction holds to its end."""

from django.db import connection
from django.db.models.functions import Now

from foundation.heartbeats import instance_name
from market.core.snapshot import MarketSnapshot
from sessions.models import EvaluationRun, EvaluationSlice

BACKOFF_SECONDS_MAX = 30
KEEP_RUNS_HOURS = 24


def claim_due_slice(*, version: int) -> EvaluationSlice | None:
    """The slice that waits longest for this snapshot, locked; None when none is due or all are claimed."""
    return (
        EvaluationSlice.objects.filter(evaluated_slot__lt=version, due_at__lte=Now())
        .order_by("evaluated_slot", "id")
        .select_for_update(no_key=True, skip_locked=True)
        .first()
    )


def record_run(
    row: EvaluationSlice, *, snapshot: MarketSnapshot, sessions: int, rules: int, triggered: int, trades: int
) -> EvaluationRun:
    """Note what was done and that the slice waits for the next snapshot."""
    changed = EvaluationSlice.objects.filter(pk=row.pk, evaluated_slot=row.evaluated_slot).update(
        evaluated_slot=snapshot.version, failures=0
    )
    assert changed == 1, "the slice is locked"
    return EvaluationRun.objects.create(
        slice=row,
        slot=snapshot.version,
        as_of=snapshot.as_of,
        sessions=sessions,
        rules=rules,
        triggered=triggered,
        trades=trades,
        worker=instance_name(),
    )


def note_failure(*, slice_id: int) -> int:
    """The slice stays due, but after a pause that doubles each time; returns how often it failed in a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE trading_sessions_evaluationslice
            SET failures = failures + 1,
                due_at = clock_timestamp() + make_interval(secs => least(power(2, least(failures, 10)), %s))
            WHERE id = %s RETURNING failures
            """,
            [BACKOFF_SECONDS_MAX, slice_id],
        )
        (failures,) = cursor.fetchone()
    return int(failures)


def prune_runs() -> int:
    """Forget runs older than a day; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM trading_sessions_evaluationrun"
            " WHERE created_at < clock_timestamp() - make_interval(hours => %s)",
            [KEEP_RUNS_HOURS],
        )
        return cursor.rowcount
