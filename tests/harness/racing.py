"""Threads that race in rounds, each on its own connection to PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from django.db import OperationalError, connections
from psycopg import errors

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
