"""The harness itself: tests work on clones, real workers are distinct processes and leave no children."""

import os

import psycopg
import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import connection

from autotrading_project.embedded.processes import wait_until
from tests.harness.databases import CommittedDatabase
from tests.harness.processes import Processes, is_alive

pytestmark = pytest.mark.integration


def test_committed_db_is_seen_by_other_connections(committed_db: CommittedDatabase):
    User.objects.create_user("alice")
    with psycopg.connect(committed_db.url) as other:
        assert other.execute("SELECT username FROM auth_user WHERE username = 'alice'").fetchone() == (
            "alice",
        )
        assert other.execute("SELECT current_database()").fetchone() == (committed_db.name,)


def test_committed_db_starts_without_what_another_test_committed(committed_db: CommittedDatabase):
    assert not User.objects.filter(username="alice").exists()


def test_db_is_not_the_database_of_the_installation(db):
    assert connection.settings_dict["NAME"].startswith(f"test_{os.getpid()}_rollback")


def test_workers_are_processes_of_their_own_and_take_their_children_with_them(processes: Processes):
    processes.start("worker_evaluation", "worker_execution")
    processes.wait_ready("worker_evaluation", "worker_execution")
    children = processes.pool_children("worker_execution")
    pids = {os.getpid(), processes.pid("worker_evaluation"), processes.pid("worker_execution"), *children}
    assert len(children) == 1
    assert len(pids) == 4
    processes.kill("worker_execution")  # nobody is left to end the pool
    assert wait_until(lambda: not any(is_alive(pid) for pid in children), seconds=5)
    assert processes.stop("worker_evaluation") == {"worker_evaluation": 0}


def test_celery_is_not_eager():
    assert current_app.conf.task_always_eager is False
