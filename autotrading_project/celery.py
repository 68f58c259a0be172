"""The Celery application. A message is only a wake-up: what is due is a row in PostgreSQL."""

import os

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")

app = Celery("autotrading")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in ("market", "evaluation", "execution", "notification")]
app.autodiscover_tasks()
