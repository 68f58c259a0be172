"""The last two snapshots in Valkey, so that workers need not fetch the payload from PostgreSQL.

Only a cache: a snapshot is asked for by its version *and* the digest of its bytes, both from PostgreSQL, so
that it can be missing but never wrong. Nothing here raises or takes long; after a failure it pauses for a few
seconds.
"""

import hashlib
import threading
import time
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

PAUSE_AFTER_FAILURE_SECONDS = 5.0
_paused_until = 0.0
_lock = threading.Lock()


@cache
def _client() -> redis.Redis:
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def _key(version: int) -> str:
    """Two slots, used in turn: the current snapshot and the previous one, and never more."""
    return f"{settings.REDIS_PREFIX}:market:snapshot:{version % 2}"


def digest_of(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def _paused() -> bool:
    return time.monotonic() < _paused_until


def _pause(action: str, error: Exception) -> None:
    global _paused_until
    with _lock:
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
    log.warning("snapshot_cache_unavailable", action=action, error=repr(error))


def store(*, version: int, payload: bytes) -> bool:
    """Put a snapshot there; False when Valkey could not be reached in time."""
    if _paused():
        return False
    try:
        _client().set(_key(version), payload)
    except (redis.RedisError, OSError) as error:
        _pause("store", error)
        return False
    return True


def fetch(*, version: int, digest: str) -> bytes | None:
    """The payload with exactly this digest, or None."""
    if _paused():
        return None
    try:
        payload = _client().get(_key(version))
    except (redis.RedisError, OSError) as error:
        _pause("fetch", error)
        return None
    if isinstance(payload, bytes) and digest_of(payload) == digest:
        return payload
    return None
