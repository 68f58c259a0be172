"""Claiming slices. A claim is a row lock that the evaluating transaction holds to its end."""

from django.db.models import F, Q

from foundation.heartbeats import instance_name
from market.core.snapshot import MarketSnapshot
from sessions.models import EvaluationRun, EvaluationSlice


def claim_due_slice(*, version: int, as_of: object) -> EvaluationSlice | None:
    """The slice that waits longest for this snapshot, locked; None when none is due or all are claimed."""
    return (
        EvaluationSlice.objects.filter(evaluated_slot__lt=version)
        .filter(Q(due_at=None) | Q(due_at__lte=as_of))
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
        slice=row, slot=snapshot.version, as_of=snapshot.as_of, sessions=sessions, rules=rules,
        triggered=triggered, trades=trades, worker=instance_name(),
    )  # fmt: skip


def note_failure(*, slice_id: int, slot: int) -> None:
    """The slice failed on this slot; it is not tried again before the next snapshot."""
    EvaluationSlice.objects.filter(pk=slice_id, evaluated_slot__lt=slot).update(
        evaluated_slot=slot, failures=F("failures") + 1
    )
