"""celery-beat ends between two of its ticks, and says so.

Celery's own handler of SIGTERM writes to the database from within the handler. When the signal comes while beat waits
for the database, the connection is locked by the very statement that the handler has interrupted, and beat waits for
itself for ever.
"""

import atexit
from typing import Any

from celery import platforms
from celery.signals import beat_init

from foundation import heartbeats
from foundation.tasks import BEAT


@beat_init.connect
def end_after_this_tick(sender: Any, **kwargs: object) -> None:
    """`sender` is beat's service, which has just set Celery's handlers; its loop looks at this flag each second."""

    def end(signum: int, frame: object) -> None:
        sender._is_shutdown.set()

    def say_goodbye() -> None:
        if sender._is_shutdown.is_set():
            heartbeats.end(component=BEAT)

    platforms.signals.update(SIGTERM=end, SIGINT=end)
    atexit.register(say_goodbye)
