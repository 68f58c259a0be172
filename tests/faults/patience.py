"""Work on a database that is killed now and then."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

Result = TypeVar("Result")
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.3


def patient(work: Callable[[], Result], *, seconds: float = PATIENCE_SECONDS) -> Result:
    """Try again while the database is away or busy; the last error after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
