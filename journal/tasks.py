"""Celery tasks of the journal: wake-ups that carry nothing; what is due is in the table."""

from celery import shared_task

from journal.services.alerts import deliver_due_alerts
from journal.services.journal import DELIVER_ALERTS


@shared_task(name=DELIVER_ALERTS, queue="notification")
def deliver_alerts() -> None:
    """Deliver the alerts that are due. Sent after a commit with alerts, and by beat every few seconds."""
    deliver_due_alerts()
