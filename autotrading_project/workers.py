"""What Celery's workers do better than they would by themselves: a dead pool process is replaced at once, and who ends
because he was told to says so.

Celery hears of a child's death when the child's descriptors close, which is a moment before the kernel lets it be
buried: it looks too early, finds nobody dead, and looks again only five seconds later. Here the pool is looked after
several times a second.
"""

from importlib import import_module
from typing import Any

from celery import bootsteps
from celery.signals import worker_init, worker_shutdown

from foundation import heartbeats
from foundation.collecting import spare_what_is_loaded

LOOK_SECONDS = 0.2
# The queues whose workers show signs of life, which the tasks themselves give.
SHOW_SIGNS = ("evaluation", "execution", "broker", "notification")


class ReplaceDeadChildren(bootsteps.StartStopStep):
    """Of the worker's blueprint: looks after the pool's processes in the worker's event loop."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._looks: Any = None

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Called again whenever the connection to the queue is new."""
        maintain = getattr(worker.pool, "maintain_pool", None)
        if self._looks is not None:
            self._looks.cancel()
        if maintain is not None:
            self._looks = hub.call_repeatedly(LOOK_SECONDS, maintain)


@worker_init.connect
def load_what_each_child_needs(**kwargs: object) -> None:
    """Once before the fork, instead of in every child: its parent-death signal is set through cffi, and brokers are
    spoken to with a context that holds a hundred authorities. What is loaded is walked through for garbage here, for
    all of them, and never again."""
    import_module("cffi.cparser")
    import_module("trading.brokers.alpaca.wire").tls_context()
    spare_what_is_loaded()


@worker_shutdown.connect
def say_goodbye(sender: Any, **kwargs: object) -> None:
    """After its last task, so that nothing later contradicts it. Who ends for a fault, or is killed, does not get here
    or has another exit code, and is missed."""
    if sender.exitcode:
        return
    for queue in sender.app.amqp.queues.consume_from:
        if queue in SHOW_SIGNS:
            heartbeats.end(component=f"worker.{queue}")
