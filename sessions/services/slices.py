"""Which sessions are evaluated together, and claiming them.

A claim is a row lock that the evaluating transaction holds to its end. So who starts or stops a session never writes
its slice's row: he would wait for the evaluation, and lock a slice after a portfolio.
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from foundation.heartbeats import instance_name
from foundation.loading import load_where, selected
from foundation.version import code_version
from market.core.snapshot import MarketSnapshot
from sessions.core.parts import NOBODY, Arc, arc_to_decide
from sessions.models import SLICE_SESSIONS_MAX, EvaluationRun, EvaluationSlice, TradingSession
from sessions.selectors import EVALUATED

BACKOFF_SECONDS_MAX = 30
JOIN_SECONDS = 5  # the shortest cadence
PRUNE_BATCH, PRUNE_BATCHES_MAX = 5_000, 400


# A slice by the clock that one may join: its turn is as good as here, and nobody is in the middle of it.
_BY_TURN = """t.begun_slot = 0 AND t.due_at <= statement_timestamp() + make_interval(secs => %(near)s)"""
_WITH_ROOM = """
    SELECT t.id FROM trading_sessions_evaluationslice AS t
    WHERE t.closed_at IS NULL AND {turn}
      AND t.id = (
        SELECT max(t.id) FROM trading_sessions_evaluationslice AS t
        WHERE t.every_seconds = %(every)s AND t.closed_at IS NULL AND {turn}
      )
      AND (SELECT count(*) FROM trading_sessions WHERE slice_id = t.id AND status = ANY(%(running)s)) < %(most)s
"""
_EACH_TICK = _WITH_ROOM.format(turn="true") + "FOR KEY SHARE OF t"
_BY_THE_CLOCK = _WITH_ROOM.format(turn=_BY_TURN) + "FOR SHARE OF t SKIP LOCKED"


def slice_with_room(*, every_seconds: int) -> int:
    """The id of a slice for one more session of this cadence, kept from being closed until the caller's end.

    Sessions fill one slice after another, so that only the newest is ever counted; a little overfilling by a race would
    be harmless. By the clock that is one that is due within JOIN_SECONDS, else a new one, which is due at once: who has
    just started must not wait for the turn of strangers, for longer than it runs perhaps. A new one is evaluated at the
    next tick, so at most each tick at which somebody starts has one.

    FOR KEY SHARE is the lock that the session's foreign key takes anyway: it waits for who closes the slice, and not
    for who evaluates it. By the clock FOR SHARE keeps those away who would evaluate it before the session is in it; one
    that is being evaluated is passed over, for its next turn is a cadence away.
    """
    running = [str(status) for status in TradingSession.RUNNING]
    given: dict[str, Any] = {
        "every": every_seconds, "running": running, "most": SLICE_SESSIONS_MAX, "near": JOIN_SECONDS
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_BY_THE_CLOCK if every_seconds else _EACH_TICK, given)
        found = cursor.fetchone()
    return int(found[0]) if found else EvaluationSlice.objects.create(every_seconds=every_seconds).pk


_DUE = """
    t.closed_at IS NULL AND t.evaluated_slot < %s AND t.begun_slot <= %s AND t.due_at <= statement_timestamp()
    AND EXISTS (SELECT FROM trading_sessions AS s WHERE s.slice_id = t.id AND s.status = ANY(%s))
"""
_NEWEST = "NOT EXISTS (SELECT FROM market_snapshots WHERE version > %s)"
_ANY_DUE = f"SELECT EXISTS (SELECT FROM trading_sessions_evaluationslice AS t WHERE {_DUE})"  # noqa: S608


def any_due(*, version: int) -> bool:
    """Whether a slice waits for this snapshot, claimed or not."""
    given = [version, version, [status.value for status in EVALUATED]]
    ((found,),) = selected(_ANY_DUE, given)
    return bool(found)


def claim_due_slice(*, version: int) -> EvaluationSlice | None:
    """The slice that waits longest for this snapshot, locked; None when none is due or all are claimed, or when it is
    not the newest snapshot any more: whoever was stopped since he read it would take portfolios back in market time.

    Of those that wait equally long one of which nothing is decided yet in this slot, and one that this process did
    last: what it keeps of it is still true, but for what has changed since.
    """
    rows = load_where(
        EvaluationSlice,
        f"{_DUE} AND {_NEWEST} ORDER BY t.evaluated_slot, t.begun_slot = %s, t.evaluated_by <> %s, t.id"
        " LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
        [version, version, [status.value for status in EVALUATED], version, version, instance_name()],
    )
    return rows[0] if rows else None


def arc_of(row: EvaluationSlice, *, version: int) -> Arc:
    """What is left to decide of a claimed slice in this slot."""
    return arc_to_decide(
        slot=version, begun_slot=row.begun_slot, begun_after=row.begun_after, decided_through=row.decided_through
    )  # fmt: skip


def record_run(
    row: EvaluationSlice, *, snapshot: MarketSnapshot, part: Arc, sessions: int, rules: int, triggered: int,
    trades: int, facts_at: datetime, facts_seen: str,
) -> EvaluationRun:  # fmt: skip
    """Note what was done, and that the slice waits for the next snapshot, or for the next after its seconds; after a
    part of what was left that it goes on there.

    `facts_at` and `facts_seen` are `foundation.moments.present_moment` of when portfolios were read.
    """
    left = arc_of(row, version=snapshot.version)
    is_over = part == left
    run = EvaluationRun(
        slice=row,
        decided_after=part.after,
        decided_through=part.through,
        slot=snapshot.version,
        as_of=snapshot.as_of,
        sessions=sessions,
        rules=rules,
        triggered=triggered,
        trades=trades,
        worker=instance_name(),
        code_version=code_version(),
        facts_at=facts_at,
        facts_seen=facts_seen,
    )
    noted = selected(
        """
        WITH moved AS (
            UPDATE trading_sessions_evaluationslice
            SET evaluated_slot = %s, begun_slot = %s, begun_after = %s, decided_through = %s, evaluated_by = %s,
                failures = 0, due_at = CASE WHEN %s
                    THEN statement_timestamp() + make_interval(secs => every_seconds) ELSE due_at END
            WHERE id = %s AND (evaluated_slot, begun_slot, decided_through) = (%s, %s, %s) RETURNING id)
        INSERT INTO trading_sessions_evaluationrun
            (slice_id, slot, decided_after, decided_through, as_of, sessions, rules, triggered, trades, worker,
             code_version, facts_at, facts_seen)
        SELECT id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM moved RETURNING id, created_at
        """,
        [
            run.slot if is_over else row.evaluated_slot,
            0 if is_over else run.slot,
            NOBODY if is_over else left.through,
            NOBODY if is_over else part.through,
            run.worker,
            is_over,
            row.pk,
            row.evaluated_slot,
            row.begun_slot,
            row.decided_through,
            run.slot,
            part.after,
            part.through,
            run.as_of,
            sessions,
            rules,
            triggered,
            trades,
            run.worker,
            run.code_version,
            facts_at,
            facts_seen,
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


def prune_runs(*, minutes: float) -> int:
    """Forget older runs; returns how many. In batches with a bound, so that no statement runs long; the rest is for
    the next time."""
    removed = 0
    for _ in range(PRUNE_BATCHES_MAX):
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM trading_sessions_evaluationrun WHERE id IN ("
                "SELECT id FROM (SELECT id, created_at FROM trading_sessions_evaluationrun ORDER BY id LIMIT %s)"
                " AS oldest WHERE created_at < clock_timestamp() - make_interval(secs => %s))",
                [PRUNE_BATCH, minutes * 60],
            )
            removed += cursor.rowcount
            if cursor.rowcount < PRUNE_BATCH:
                break
    return removed


@transaction.atomic
def close_empty_slices() -> int:
    """Take the slices in which nothing runs out of everybody's way; returns how many.

    Two steps: a session that came in while the locks were waited for is seen by the second.
    """
    running = TradingSession.objects.filter(slice=OuterRef("pk"), status__in=TradingSession.RUNNING)
    empty = EvaluationSlice.objects.filter(~Exists(running), closed_at=None)
    ids = list(empty.select_for_update(skip_locked=True).values_list("id", flat=True))
    return empty.filter(pk__in=ids).update(closed_at=Now())
