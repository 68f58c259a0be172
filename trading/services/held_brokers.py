"""Brokers of accounts, kept by a process from one order to the next, and pauses of accounts that fail.

A broker is made anew after a failure, after a while, and when its account's row or keys have changed. A pause keeps one
account, or its broker, from holding up the others; it is in this process only, and short.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from portfolios.models import BrokerAccount, BrokerCredential
from trading.brokers.connections import broker_of
from trading.brokers.protocol import Broker

log = structlog.get_logger(__name__)
KEPT_SECONDS = 300.0
PAUSE_SECONDS = 1.0
PAUSE_SECONDS_MAX = 10.0  # whoever dies leaves his trades to processes that may be in such a pause
ASKED_SECONDS_MAX = 30.0  # a pause that the broker itself has asked for
_mine = threading.local()  # a broker is not shared between threads


@dataclass
class _Held:
    broker: Broker
    like: tuple[Any, ...]
    since: float


@dataclass
class Pauses:
    """Accounts that are left alone for a while, twice as long after each failure in a row."""

    clock: Callable[[], float] = time.monotonic
    _until: dict[uuid.UUID, float] = field(default_factory=dict)
    _failures: dict[uuid.UUID, int] = field(default_factory=dict)

    def failed(self, account_id: uuid.UUID, *, at_least: float | None = None) -> None:
        """at_least: seconds for which it has asked to be left alone."""
        failures = self._failures[account_id] = self._failures.get(account_id, 0) + 1
        seconds = min(PAUSE_SECONDS * 2 ** min(failures - 1, 10), PAUSE_SECONDS_MAX)
        self._until[account_id] = self.clock() + max(seconds, min(at_least or 0.0, ASKED_SECONDS_MAX))

    def worked(self, account_id: uuid.UUID) -> None:
        self._failures.pop(account_id, None)
        self._until.pop(account_id, None)

    def now(self) -> list[uuid.UUID]:
        """The accounts that are paused."""
        now = self.clock()
        return [account_id for account_id, until in list(self._until.items()) if until > now]

    def suspects(self, account_id: uuid.UUID) -> bool:
        """Whether it failed when it was last spoken to."""
        return account_id in self._failures

    def clear(self) -> None:
        self._until.clear()
        self._failures.clear()


pauses = Pauses()


def _held() -> dict[uuid.UUID, _Held]:
    held: dict[uuid.UUID, _Held] | None = getattr(_mine, "held", None)
    if held is None:
        held = _mine.held = {}
    return held


def held_broker(account: BrokerAccount) -> Broker:
    """The account's broker, kept. Opens no connection. Raises NotConnected."""
    keys_of = BrokerCredential.objects.filter(account_id=account.id).values_list("set_at", flat=True).first()
    like = (account.broker, account.is_live, account.account_number, keys_of)
    held, now = _held(), time.monotonic()
    known = held.get(account.id)
    if known is not None and known.like == like and now - known.since < KEPT_SECONDS:
        return known.broker
    let_go(account.id)
    made = _Held(broker_of(account), like, now)
    held[account.id] = made
    return made.broker


def let_go(account_id: uuid.UUID) -> None:
    """Close it; the next one is made anew."""
    known = _held().pop(account_id, None)
    if known is None:
        return
    try:
        known.broker.close()
    except Exception:  # it is of no use any more, however it ends
        log.warning("broker_not_closed", account_id=str(account_id), exc_info=True)


def let_all_go() -> None:
    for account_id in list(_held()):
        let_go(account_id)
    pauses.clear()
