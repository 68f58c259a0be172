"""Wake-ups: "something is due". Losing one, or getting one twice, changes nothing.

They leave on commit, are tried once with short timeouts, expire in seconds, and never raise: beat
sweeps make up for every lost one. After a failure they pause for a second, so that a black-holed
Valkey slows nothing down.
"""

import threading
import time
from functools import partial
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection
from kombu.pools import producers

log = structlog.get_logger(__name__)

EXPIRES_SECONDS = 5.0
PAUSE_AFTER_FAILURE_SECONDS = 1.0
_paused_until = 0.0
_lock = threading.Lock()


def _connection() -> Connection:
    """A connection for sending only: its short timeouts must not cut a worker's long wait for messages."""
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    return Connection(settings.CELERY_BROKER_URL, transport_options=options, connect_timeout=timeout)


def wake(task_name: str, *, queue: str, kwargs: dict[str, Any] | None = None) -> bool:
    """Send now. False when it could not be sent; the sweep will find the work."""
    global _paused_until
    if time.monotonic() < _paused_until:
        return False
    try:
        with producers[_connection()].acquire(
            block=True, timeout=settings.REDIS_SOCKET_TIMEOUT_SECONDS
        ) as producer:
            current_app.send_task(
                task_name,
                kwargs=kwargs or {},
                queue=queue,
                expires=EXPIRES_SECONDS,
                retry=False,
                producer=producer,
            )
    except Exception as error:
        # Any failure here is survivable by design and must not undo or delay the caller's committed work.
        with _lock:
            _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        log.warning("wake_up_lost", task=task_name, queue=queue, error=repr(error))
        return False
    return True


def wake_on_commit(task_name: str, *, queue: str, kwargs: dict[str, Any] | None = None) -> None:
    """Send after the present transaction commits; at once when there is none."""
    transaction.on_commit(partial(wake, task_name, queue=queue, kwargs=kwargs), robust=True)
