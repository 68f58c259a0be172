"""What the journal tells of itself: which of its alerts somebody has taken note of."""

from typing import TypedDict
from uuid import UUID

from journal.core.events import Severity
from journal.core.kinds import EITHER, EventKind, register


class AlertAcknowledged(TypedDict):
    """`raised_by` and `raised_seq` are the kind and the `seq`, in this stream, of the event that raised it."""

    alert_id: UUID
    severity: Severity
    raised_by: str
    raised_seq: int
    actor: str


register(EventKind("alert.acknowledged", "Somebody knows of an alert", AlertAcknowledged, EITHER))
