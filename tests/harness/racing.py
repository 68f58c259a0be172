"""Threads that race, each on its own connection to PostgreSQL: in rounds, or for one lock."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from django.db import OperationalError, connections
from psycopg import errors

from autotrading_project.embedded.processes import wait_until
from tests.harness.databases import CommittedDatabase

WAIT_SECONDS = 30


class Racers:
    """One thread for each work; they live through all rounds and start together in each.

    `errors` keeps what went wrong in any of them.
    """

    def __init__(self, *works: Callable[[], Any]) -> None:
        self.errors: list[Exception] = []
        self._start = threading.Barrier(len(works))
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._calls: list[SimpleQueue[bool]] = [SimpleQueue() for _ in works]
        self._threads = [
            threading.Thread(target=self._live, args=(work, calls))
            for work, calls in zip(works, self._calls, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def _live(self, work: Callable[[], Any], calls: "SimpleQueue[bool]") -> None:
        try:
            while calls.get():
                try:
                    self._start.wait(WAIT_SECONDS)
                    self._answers.put(work())
                except Exception as error:
                    self.errors.append(error)
                    self._answers.put(error)
        finally:
            connections.close_all()

    def race(self) -> list[Any]:
        """One round: the answers of all, in the order in which they came."""
        for calls in self._calls:
            calls.put(True)
        return [self._answers.get(timeout=WAIT_SECONDS) for _ in self._calls]

    def deadlocks(self) -> int:
        return sum(
            isinstance(error, OperationalError) and isinstance(error.__cause__, errors.DeadlockDetected)
            for error in self.errors
        )

    def end(self) -> None:
        for calls in self._calls:
            calls.put(False)
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


@contextmanager
def racing(*works: Callable[[], Any]) -> Iterator[Racers]:
    racers = Racers(*works)
    try:
        yield racers
    finally:
        racers.end()


class Waiting:
    """Work in a thread of its own, begun while the test's transaction is open, and the lock it waits for."""

    def __init__(self, database: CommittedDatabase, work: Any) -> None:
        self._database, self._work = database, work
        self.errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self.errors.append(error)
        finally:
            connections.close_all()

    def start_and_block(self) -> None:
        self._thread.start()
        blocked = """
            SELECT count(DISTINCT pid) FROM pg_locks
            WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = %s)"""
        with self._database.as_owner() as owner:
            assert wait_until(
                lambda: owner.execute(blocked, [self._database.name]).fetchone() == (1,), seconds=4
            ), self.errors  # before the test's own transaction has been idle for too long

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self.errors == []
