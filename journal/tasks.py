"""Celery tasks of the journal: wake-ups that carry nothing; what is due is in the table.

They run on the queue `notification`, which has a worker of its own: an alert waits for nothing but other alerts.
Whoever sends them says so (Celery's task_routes, the wake-up, beat), for a queue named at the task is deprecated since
Celery 5.7.
"""

from functools import partial

from celery import shared_task

from foundation.heartbeats import beat_if_due
from journal.services.alerts import deliver_due_alerts
from journal.services.journal import DELIVER_ALERTS


@shared_task(name=DELIVER_ALERTS)
def deliver_alerts() -> None:
    """Deliver the alerts that are due. Sent after a commit with alerts, and by beat every few seconds."""
    sign = partial(beat_if_due, component="worker.notification")
    deliver_due_alerts(sign=sign)
    sign()
