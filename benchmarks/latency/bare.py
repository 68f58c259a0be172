"""The floor: a Celery worker of its own on the same Valkey, with one task that does nothing."""

import os

from celery import Celery

app = Celery("bare", broker=os.environ.get("REDIS_URL", ""), backend=os.environ.get("REDIS_URL", ""))
app.conf.update(
    task_default_queue="bare", worker_prefetch_multiplier=1, result_expires=60,
    broker_transport_options={"global_keyprefix": "bare:"},
    result_backend_transport_options={"global_keyprefix": "bare:"},
)  # fmt: skip


@app.task
def nothing() -> None:
    """There and back."""
