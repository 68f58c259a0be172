"""celery-beat's scheduler, which waits for the database.

A beat that has read its schedule goes on without the database until that is back. One that starts meanwhile would end,
and the next one needs seconds to come as far.
"""

import signal
import time

import structlog
from celery import platforms
from django.db import InterfaceError, OperationalError, connection
from django_celery_beat.schedulers import DatabaseScheduler

log = structlog.get_logger(__name__)
RETRY_SECONDS = 0.5


class PatientScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Reads its schedule as soon as the database can be asked."""

    def setup_schedule(self) -> None:
        # There is nothing to save yet, and Celery's handlers would ask for the scheduler that is only being made.
        # `ending_beat` sets its own when it is.
        platforms.signals.update(SIGTERM=signal.SIG_DFL, SIGINT=signal.SIG_DFL)
        waits = False
        while True:
            try:
                super().setup_schedule()
                return
            except (OperationalError, InterfaceError) as error:
                if not waits:
                    log.warning("beat_waits_for_database", error=str(error).strip())
                waits = True
                connection.close()
                time.sleep(RETRY_SECONDS)
