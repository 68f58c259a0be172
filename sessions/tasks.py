"""Celery tasks of the sessions' room: what market time starts and stops.

A message carries no decision: losing one, or getting one twice, changes nothing.
"""

from celery import shared_task

from foundation.heartbeats import beat
from sessions.services import calendar


@shared_task(name="sessions.tasks.run_calendar")
def run_calendar() -> None:
    """Start and stop what the market's time says."""
    beat(component="worker.execution")
    calendar.run_calendar()
