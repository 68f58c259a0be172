"""Publishing and reading the market snapshot. PostgreSQL holds it; Valkey and the process only cache it."""

import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from functools import partial

import psycopg
import structlog
from django.conf import settings
from django.db import connection, transaction

from foundation.errors import Conflict
from foundation.loading import selected
from foundation.wakeups import wake_on_commit
from market.core.snapshot import MarketSnapshot, decode, encode
from market.models import Snapshot
from market.services import snapshot_cache

log = structlog.get_logger(__name__)

# By name: who evaluates and executes lives above the market and is not imported.
EVALUATE_TASK, EVALUATE_QUEUE = "trading.tasks.evaluate_due", "evaluation"
EXECUTE_TASK, EXECUTE_QUEUE = "trading.tasks.execute_due", "execution"
PROTECT_TASK, PROTECT_QUEUE = "trading.tasks.watch_protections", "execution"

PUBLISH_LOCK_KEY = 0x6D61726B_65740001
"""advisory lock of publishers: versions are gapless because only one at a time takes the next"""
PROCESS_CACHE_SIZE = 4
PRUNE_BATCH = 5_000
PRUNE_BATCHES_MAX = 20

_TOO_OLD = """
    SELECT version FROM market_snapshots
    WHERE published_at < clock_timestamp() - make_interval(secs => %s)
      AND version < (SELECT max(version) FROM market_snapshots)
    ORDER BY version LIMIT %s
"""
_ONE_OF_MANY = """
    SELECT version FROM (
        SELECT version, date_trunc('minute', published_at) AS minute,
               lead(date_trunc('minute', published_at)) OVER (ORDER BY version) AS minute_of_next
        FROM market_snapshots WHERE published_at < clock_timestamp() - make_interval(secs => %s)
    ) AS old
    WHERE minute = minute_of_next ORDER BY version LIMIT %s
"""
"""those that another one of the same minute follows, which is as old"""

_cache: OrderedDict[tuple[int, str], MarketSnapshot] = OrderedDict()
_cache_lock = threading.Lock()


class MarketTimeWentBack(Conflict):
    """A snapshot older than the newest one was to be published."""

    code = "market_time_went_back"


@transaction.atomic
def publish(*, snapshot: MarketSnapshot) -> int:
    """Store a snapshot under the next version (its own is ignored) and return that version.

    Once the transaction, which may be the caller's, is committed, the snapshot goes to Valkey and the workers
    are woken. MarketTimeWentBack when a newer market time was already published; an equal one is fine.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUBLISH_LOCK_KEY])
    newest = _newest()
    version = 1
    if newest is not None:
        if snapshot.as_of < newest[1]:
            raise MarketTimeWentBack(
                f"Market time never goes back: {snapshot.as_of.isoformat()} is before snapshot {newest[0]} "
                f"of {newest[1].isoformat()}."
            )
        version = newest[0] + 1
    payload = encode(replace(snapshot, version=version))
    digest = snapshot_cache.digest_of(payload)
    _insert(version=version, as_of=snapshot.as_of, digest=digest, payload=payload)
    transaction.on_commit(partial(snapshot_cache.store, version=version, payload=payload), robust=True)
    wake_on_commit(EVALUATE_TASK, queue=EVALUATE_QUEUE)
    wake_on_commit(PROTECT_TASK, queue=PROTECT_QUEUE)
    wake_on_commit(EXECUTE_TASK, queue=EXECUTE_QUEUE)
    return version


def _insert(*, version: int, as_of: datetime, digest: str, payload: bytes) -> None:
    """With the payload as it is: Django writes it into the statement's text, twice as long and parsed by the server."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            "INSERT INTO market_snapshots (version, as_of, digest, payload) VALUES (%s, %s, %s, %b)",
            [version, as_of, digest, payload],
        )


def current() -> MarketSnapshot | None:
    """The newest snapshot, None before the first.

    Which one that is, PostgreSQL says each time (one tiny query); its bytes come from this process, else from
    Valkey, else from PostgreSQL.
    """
    newest = _newest()
    return None if newest is None else _load(version=newest[0], digest=newest[2])


def current_version() -> int:
    """The newest version, 0 before the first."""
    newest = _newest()
    return 0 if newest is None else newest[0]


def at_version(version: int) -> MarketSnapshot | None:
    """A certain snapshot; None when it never was or is no longer kept."""
    digest = Snapshot.objects.filter(version=version).values_list("digest", flat=True).first()
    return None if digest is None else _load(version=version, digest=digest)


def version_at(as_of: datetime) -> int | None:
    """The newest kept snapshot at this market time; None when none is kept that is so old."""
    rows = Snapshot.objects.filter(as_of__lte=as_of).order_by("-as_of", "-version")
    return rows.values_list("version", flat=True).first()


def oldest_kept() -> tuple[int, datetime] | None:
    """Version and market time; None before the first snapshot."""
    return Snapshot.objects.order_by("version").values_list("version", "as_of").first()


def published_at(version: int) -> datetime | None:
    """Database time; None when it never was or is no longer kept."""
    return Snapshot.objects.filter(version=version).values_list("published_at", flat=True).first()


def prune() -> int:
    """Delete snapshots that nobody needs any more, never the newest; returns how many.

    All are kept for SNAPSHOT_FULL_MINUTES (database time), of older ones the last of each minute, and none is that is
    older than SNAPSHOT_RETENTION_MINUTES. In batches with a bound, so that no statement runs long; the rest is for the
    next time.
    """
    removed = 0
    batches = iter(range(PRUNE_BATCHES_MAX))
    for versions, minutes in (
        (_TOO_OLD, settings.SNAPSHOT_RETENTION_MINUTES),
        (_ONE_OF_MANY, settings.SNAPSHOT_FULL_MINUTES),
    ):
        for _ in batches:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"DELETE FROM market_snapshots WHERE version IN ({versions})",  # noqa: S608
                    [minutes * 60, PRUNE_BATCH],
                )
                removed += cursor.rowcount
                if cursor.rowcount < PRUNE_BATCH:
                    break
    return removed


def _newest() -> tuple[int, datetime, str] | None:
    rows = selected("SELECT version, as_of, digest FROM market_snapshots ORDER BY version DESC LIMIT 1")
    return rows[0] if rows else None


def _load(*, version: int, digest: str) -> MarketSnapshot | None:
    key = (version, digest)
    with _cache_lock:
        known = _cache.get(key)
    if known is not None:
        return known
    payload = snapshot_cache.fetch(version=version, digest=digest)
    if payload is None:
        stored = (
            Snapshot.objects.filter(version=version, digest=digest).values_list("payload", flat=True).first()
        )
        if stored is None:
            return None
        payload = bytes(stored)
    snapshot = decode(payload)
    with _cache_lock:
        _cache[key] = snapshot
        while len(_cache) > PROCESS_CACHE_SIZE:
            _cache.popitem(last=False)
    return snapshot
