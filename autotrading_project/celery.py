"""The Celery application. A message is only a wake-up: what is due is a row in PostgreSQL."""

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, task_postrun, task_prerun
from kombu import Exchange, Queue

from autotrading_project.ending_beat import end_after_this_tick
from autotrading_project.messages import expire_by_database_time
from autotrading_project.workers import ReplaceDeadChildren
from foundation.connections import tidy_connections

# Running as root is permitted: messages are JSON and name tasks only, nothing in them is ever executed.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")
# Celery would run Django's system checks in each worker, which load every page and form first: a fifth of its start.
# `manage.py migrate` and `check` run them before any worker starts.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("autotrading", task_cls="autotrading_project.messages:WakeUp")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Each queue is bound to an exchange of its own: with Celery's one default exchange and key, a message sent to
# the exchange would reach every queue.
app.conf.task_queues = [
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for name in ("market", "evaluation", "execution", "broker", "notification", "training")
]
# Celery would close the database connection before and after each task. It does so at every so many tasks only, for
# the sake of the server's memory; in between `tidy_connections` looks after it.
app.conf.CELERY_DB_REUSE_MAX = 1000
app.autodiscover_tasks()
assert end_after_this_tick is not None and expire_by_database_time is not None  # their import connects them
app.steps["worker"].add(ReplaceDeadChildren)


@task_prerun.connect
@task_postrun.connect
def tidy_between_tasks(**kwargs: object) -> None:
    tidy_connections()


@setup_logging.connect
def keep_the_settings_logging(**kwargs: object) -> None:
    """Celery would raise the root logger to WARNING in its workers: fills and information alerts would be lost."""
