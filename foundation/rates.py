"""Budgets by the minute, shared by all processes through Valkey.

A budget is a sliding window (two counters, weighted: the `limits` library). Without Valkey each process counts for
itself, for some seconds, and then tries again: nobody is refused because Valkey is away, and nobody is let off.
"""

import threading
import time
from collections.abc import Callable
from functools import cache

import structlog
from django.conf import settings
from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

PAUSE_AFTER_FAILURE_SECONDS = 5.0
Question = Callable[[SlidingWindowCounterRateLimiter], float | None]
_paused_until = 0.0
_lock = threading.Lock()


@cache
def _shared() -> SlidingWindowCounterRateLimiter:
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    storage = RedisStorage(
        settings.REDIS_URL,
        key_prefix=f"{settings.REDIS_PREFIX}:rate",
        wrap_exceptions=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
    )
    return SlidingWindowCounterRateLimiter(storage)


@cache
def _own() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(MemoryStorage())


def take(budget: RateLimitItem, *whose: str) -> float | None:
    """Spend one of the budget. None: it was there; else the seconds after which there is some again."""
    return _asked(lambda limiter: _take(limiter, budget, whose))


def left(budget: RateLimitItem, *whose: str) -> float | None:
    """As `take`, with nothing spent."""
    return _asked(lambda limiter: None if limiter.test(budget, *whose) else _wait(limiter, budget, whose))


def _asked(question: Question) -> float | None:
    global _paused_until
    if time.monotonic() >= _paused_until:
        try:
            return question(_shared())
        except StorageError as error:
            with _lock:
                _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
            log.warning("rates_not_shared", error=repr(error))
    return question(_own())


def _take(
    limiter: SlidingWindowCounterRateLimiter, budget: RateLimitItem, whose: tuple[str, ...]
) -> float | None:
    return None if limiter.hit(budget, *whose) else _wait(limiter, budget, whose)


def _wait(limiter: SlidingWindowCounterRateLimiter, budget: RateLimitItem, whose: tuple[str, ...]) -> float:
    return max(limiter.get_window_stats(budget, *whose).reset_time - time.time(), 0.0)
