"""Claiming slices. A claim is a row lock that the evaluating transaction holds to its end."""

from django.db import connection

from foundation.heartbeats import instance_name
from foundation.loading import load_where, selected
from market.core.snapshot import MarketSnapshot
from sessions.models import EvaluationRun, EvaluationSlice

BACKOFF_SECONDS_MAX = 30
KEEP_RUNS_HOURS = 24


def claim_due_slice(*, version: int) -> EvaluationSlice | None:
    """The slice that waits longest for this snapshot, locked; None when none is due or all are claimed."""
    rows = load_where(
        EvaluationSlice,
        "t.evaluated_slot < %s AND t.due_at <= statement_timestamp() ORDER BY t.evaluated_slot, t.id LIMIT 1"
        " FOR NO KEY UPDATE SKIP LOCKED",
        [version],
    )
    return rows[0] if rows else None


def record_run(
    row: EvaluationSlice, *, snapshot: MarketSnapshot, sessions: int, rules: int, triggered: int, trades: int
) -> EvaluationRun:
    """Note what was done and that the slice waits for the next snapshot."""
    run = EvaluationRun(
        slice=row,
        slot=snapshot.version,
        as_of=snapshot.as_of,
        sessions=sessions,
        rules=rules,
        triggered=triggered,
        trades=trades,
        worker=instance_name(),
    )
    noted = selected(
        """
        WITH moved AS (
            UPDATE trading_sessions_evaluationslice SET evaluated_slot = %s, failures = 0
            WHERE id = %s AND evaluated_slot = %s RETURNING id)
        INSERT INTO trading_sessions_evaluationrun
            (slice_id, slot, as_of, sessions, rules, triggered, trades, worker)
        SELECT id, %s, %s, %s, %s, %s, %s, %s FROM moved RETURNING id, created_at
        """,
        [
            run.slot,
            row.pk,
            row.evaluated_slot,
            run.slot,
            run.as_of,
            sessions,
            rules,
            triggered,
            trades,
            run.worker,
        ],
    )
    assert noted, "the slice is locked"
    (run.id, run.created_at), run._state.adding = noted[0], False
    return run


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
