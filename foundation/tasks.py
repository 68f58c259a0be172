"""Celery tasks that belong to nobody in particular."""

from celery import shared_task

from foundation.heartbeats import beat

BEAT = "beat"


@shared_task(name="foundation.tasks.show_beat_alive")
def show_beat_alive() -> None:
    """celery-beat's sign of life: sent by beat, and by nobody else, it says that its messages are carried out.

    A heartbeat that beat wrote itself would go on while Valkey or the workers are away.
    """
    beat(component=BEAT)
