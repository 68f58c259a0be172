"""Until when a message is of use is said, and judged, by the database's clock.

Celery's own way is the sender's clock against the worker's: where the two are seconds apart, a worker throws away all
that it is sent, unseen, and shows no sign by which anybody could tell. So whoever sends corrects the end that he
writes, and the process that carries out a task judges it, for it can ask the database: the worker's main process has
no connection.
"""

import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import Task
from celery.signals import before_task_publish

from foundation.clock import OWN_CLOCK

log = structlog.get_logger(__name__)
TOLD_SECONDS = 10.0
_told = {"next": 0.0}


class WakeUp(Task):
    """A task that does nothing where its message comes too late: beat has sent others since."""

    Request = "autotrading_project.requests:JudgedByItsTask"  # a name, for it loads the whole worker

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        seconds = _late_seconds(self.request.expires)
        if seconds > 0:
            _tell(self.name, seconds)
            return None
        return super().__call__(*args, **kwargs)


def _late_seconds(expires: Any) -> float:
    """By the database's clock, which is asked for only where one's own says so. `expires`: ISO 8601, or None."""
    if expires is None:
        return 0.0
    end = datetime.fromisoformat(expires)
    if end.timestamp() >= time.time():
        return 0.0
    return (OWN_CLOCK.database_time() - end).total_seconds()


def _tell(task: str, seconds: float) -> None:
    now = time.monotonic()
    if now >= _told["next"]:
        _told["next"] = now + TOLD_SECONDS
        log.warning("message_too_late", task=task, seconds=round(seconds, 1))


@before_task_publish.connect
def expire_by_database_time(headers: dict[str, Any] | None = None, **kwargs: object) -> None:
    """Of whatever is sent by whom ever; Celery has just added the seconds to the machine's own time."""
    if headers and headers.get("expires"):
        OWN_CLOCK.compare_if_due()
        end = datetime.fromisoformat(headers["expires"])
        headers["expires"] = (end - timedelta(seconds=OWN_CLOCK.ahead_seconds or 0.0)).isoformat()
