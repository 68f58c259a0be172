"""How a worker's main process takes messages in; loaded by workers only."""

from celery.worker.request import Request


class JudgedByItsTask(Request):
    """A message as the worker's main process sees it."""

    def maybe_expire(self) -> None:
        """Never here."""
