"""One run of a task that speaks to brokers: bounded in time, fair between accounts, and not held up by any of them."""

import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

from trading.services import claims
from trading.services.claims import Busy, Due
from trading.services.faults import TRANSIENT
from trading.services.held_brokers import let_go, pauses

log = structlog.get_logger(__name__)
T = TypeVar("T")
# Nothing new is taken up after so long, and a successor is woken: what has become due meanwhile gets its turn. The last
# piece of work adds a few exchanges, each with its deadline, and all of it ends before the soft time limit of tasks.
RUN_SECONDS = 4.0
SUSPECTS_MAX = 2
# An evaluation has the portfolios in which rules are true for a moment, at every tick of the market.
BUSY_TRIES, BUSY_PAUSE_SECONDS = 8, 0.1
RECORD_TRIES = 3
RECORD_PAUSE_SECONDS = 0.1


class Run:
    """Visits each due trade once at most. `ended_early`: time was up, and more may be due.

    Accounts that failed when they were last spoken to come last, and only so many of them in a run: a broker that
    hangs takes a deadline each time, and those that answer must not wait for that.
    """

    def __init__(self, *, seconds: float = RUN_SECONDS) -> None:
        self._ends = time.monotonic() + seconds
        self._suspects_left = SUSPECTS_MAX
        self.ended_early = False

    def work_off(self, condition: str, work: Callable[[Due], bool], *, speaks: bool = True) -> int:
        """`work` says whether it moved the trade on. Returns how many did. A failure pauses the account it is of; where
        somebody else is busy in a trade's portfolio, it is tried again after the others.
        speaks: to the broker, so that paused accounts are left alone."""
        moved, seen, busy, tries = 0, set[uuid.UUID](), set[uuid.UUID](), BUSY_TRIES
        while True:
            found = claims.due(condition, paused=pauses.now() if speaks else (), seen=list(seen))
            if not found:
                if not busy or not tries or time.monotonic() > self._ends:
                    return moved
                tries -= 1
                time.sleep(BUSY_PAUSE_SECONDS)
                seen, busy = seen - busy, set()
            for item in sorted(found, key=lambda item: pauses.suspects(item.account_id)):
                seen.add(item.trade_id)
                if speaks and not self._may_speak(item):
                    continue
                if time.monotonic() > self._ends:
                    self.ended_early = True
                    return moved
                try:
                    moved += _isolated(item, work)
                except Busy:
                    busy.add(item.trade_id)

    def _may_speak(self, item: Due) -> bool:
        if item.account_id in pauses.now():
            return False
        if not pauses.suspects(item.account_id):
            return True
        self._suspects_left -= 1
        return self._suspects_left >= 0


def _isolated(item: Due, work: Callable[[Due], bool]) -> bool:
    try:
        return work(item)
    except (Busy, *TRANSIENT):
        raise  # the sweep comes again; a claim that was left behind is found by recovery
    except Exception:
        log.exception("work_at_broker_failed", trade_id=str(item.trade_id))
        let_go(item.account_id)
        pauses.failed(item.account_id)
        return False


def recorded(record: Callable[[], T]) -> T:
    """What a broker has answered is worth a second try when the database is busy or has just come back."""
    for left in range(RECORD_TRIES - 1, -1, -1):
        try:
            return record()
        except (InterfaceError, OperationalError):
            if not left or connection.in_atomic_block:
                raise
            log.warning("recording_again", exc_info=True)
            connection.close_if_unusable_or_obsolete()
            time.sleep(RECORD_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")
