"""A worker keeps its database connection from task to task, unless it is broken or left in the middle of something."""

import pytest
from celery.signals import task_postrun, task_prerun
from django.db import connection, transaction

from autotrading_project.celery import app
from foundation.models import Heartbeat

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("committed_db")]


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def between_two_tasks() -> None:
    task_postrun.send(sender=None)
    task_prerun.send(sender=None)


def test_the_next_task_finds_the_connection_of_the_last() -> None:
    first = backend()
    between_two_tasks()
    assert backend() == first


def test_celery_itself_does_not_close_it_after_each_task() -> None:
    assert app.conf.get("CELERY_DB_REUSE_MAX", 0) >= 100


def test_a_connection_that_the_server_has_ended_is_replaced_before_the_next_task() -> None:
    first = backend()
    with connection.cursor() as cursor, pytest.raises(Exception, match="terminating connection"):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    between_two_tasks()
    assert backend() != first


def test_what_a_cut_task_left_inside_a_transaction_is_neither_committed_nor_in_the_way() -> None:
    first = backend()
    transaction.atomic().__enter__()
    Heartbeat.objects.create(component="cut", instance="here", code_version="1", at="2026-01-02T00:00Z")
    between_two_tasks()
    assert backend() != first
    assert not connection.in_atomic_block
    Heartbeat.objects.create(component="next", instance="here", code_version="1", at="2026-01-02T00:00Z")
    between_two_tasks()
    assert list(Heartbeat.objects.values_list("component", flat=True)) == ["next"]
