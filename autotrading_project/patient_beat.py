"""celery-beat's scheduler, which outlives a database that is away, and a clock that was wrong.

django-celery-beat guards all that it asks of the database but the reading of the schedule itself: at the start, when an
operator has changed it, and every five minutes. A beat that ends there is started again, into the same outage.
"""

import datetime
import signal
import time
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

log = structlog.get_logger(__name__)
RETRY_SECONDS = 0.5


class PatientScheduler(DatabaseScheduler):
    """Waits for its first schedule, and keeps the one that it has until it can read another."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # There is nothing to save yet, and Celery's handlers would ask for the scheduler that is only being made, in
        # the middle of its statement: beat would wait for itself. `ending_beat` sets its own when it is made.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_DFL)
        super().__init__(*args, **kwargs)

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        try:
            return self._read()
        except (OperationalError, InterfaceError) as error:
            connection.close()
            log.warning("beat_waits_for_database", error=str(error).strip())
        if self._schedule is not None:
            self._last_full_sync -= datetime.timedelta(days=1)  # read it at the next look
            return self._schedule
        while True:
            time.sleep(RETRY_SECONDS)
            try:
                return self._read()
            except (OperationalError, InterfaceError):
                connection.close()

    def _read(self) -> dict[str, ModelEntry]:
        schedule: dict[str, ModelEntry] = super().all_as_schedule()
        for entry in schedule.values():
            # Written by a clock that was ahead: nothing would be due until the right one has come as far.
            entry.last_run_at = min(entry.last_run_at, entry._default_now())
        return schedule
