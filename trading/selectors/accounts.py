"""Accounts at real brokers: who follows them, and how they agree with our books."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, QuerySet

from trading.models import Reconciliation, ReconciliationBreak

COMPONENT = "streams"
LEASE_PREFIX = "broker.stream:"


@dataclass(frozen=True)
class Followed:
    """An account to be followed. seconds_left: of its lease, None where nobody ever had it.

    fingerprint: changes with its credentials, so that a new key begins a new connection.
    """

    account_id: uuid.UUID
    fingerprint: str
    seconds_left: float | None

    @property
    def is_free(self) -> bool:
        return self.seconds_left is None or self.seconds_left <= 0

    @property
    def lease_name(self) -> str:
        return f"{LEASE_PREFIX}{self.account_id}"


def accounts_to_follow() -> list[Followed]:
    """Every account at a real broker, in the order of ids; one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, concat_ws(' ', a.broker, a.is_live, a.account_number, c.set_at),
                   extract(epoch FROM l.expires_at - clock_timestamp())::float
            FROM portfolios_brokeraccount a
            LEFT JOIN portfolios_brokercredential c ON c.account_id = a.id
            LEFT JOIN foundation_lease l ON l.name = %s || a.id::text
            WHERE a.broker <> 'paper' ORDER BY a.id
            """,
            [LEASE_PREFIX],
        )
        return [Followed(*row) for row in cursor.fetchall()]


def unfollowed_accounts(*, seconds: float) -> list[tuple[uuid.UUID, datetime]]:
    """(account, since when, database time) of those whose lease nobody has held for longer; one that nobody ever held
    counts from its credentials, or from its making. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, left_at.at FROM portfolios_brokeraccount a
            LEFT JOIN portfolios_brokercredential c ON c.account_id = a.id
            LEFT JOIN foundation_lease l ON l.name = %s || a.id::text
            CROSS JOIN LATERAL (SELECT coalesce(greatest(l.expires_at, c.set_at), a.created_at)) AS left_at (at)
            WHERE a.broker <> 'paper' AND left_at.at < clock_timestamp() - make_interval(secs => %s)
            ORDER BY a.id
            """,
            [LEASE_PREFIX, seconds],
        )
        return list(cursor.fetchall())


@dataclass(frozen=True)
class Compared:
    """When an account's books and broker were last compared with success (None: never), since when they could be,
    and now; database time."""

    account_id: uuid.UUID
    last: datetime | None
    since: datetime
    now: datetime


def last_compared() -> list[Compared]:
    """Of every account at a real broker; one query, which reads back to the last success only."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, good.finished_at, greatest(a.created_at, c.set_at), clock_timestamp()
            FROM portfolios_brokeraccount a
            LEFT JOIN portfolios_brokercredential c ON c.account_id = a.id
            LEFT JOIN LATERAL (
                SELECT finished_at FROM trading_reconciliation
                WHERE account_id = a.id AND failure = '' AND finished_at IS NOT NULL
                  AND (a.connected_at IS NULL OR started_at >= a.connected_at)
                ORDER BY started_at DESC LIMIT 1) AS good ON true
            WHERE a.broker <> 'paper' ORDER BY a.id
            """
        )
        return [Compared(*row) for row in cursor.fetchall()]


def breaks_of(portfolio_ids: Collection[uuid.UUID]) -> QuerySet[ReconciliationBreak]:
    """With whoever explained them."""
    rows = ReconciliationBreak.objects.filter(account__portfolio_id__in=portfolio_ids)
    return rows.select_related("explained_by")


def reconciliations_of(portfolio_id: uuid.UUID) -> QuerySet[Reconciliation]:
    return Reconciliation.objects.filter(account__portfolio_id=portfolio_id)


def open_breaks_by_kind() -> dict[str, int]:
    """Of all accounts; kinds without any are absent."""
    rows = ReconciliationBreak.objects.filter(ended_at=None).order_by().values_list("kind")
    return dict(rows.annotate(count=Count("id")))


def followers_of_accounts() -> tuple[int, int]:
    """(accounts at real brokers whose lease is held now, all of them)."""
    rows = accounts_to_follow()
    return sum(not row.is_free for row in rows), len(rows)


def streams_heard_seconds_ago() -> float | None:
    """Database time since the last sign of life of any process that follows; None: there never was one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - max(at))::float FROM foundation_heartbeat "
            "WHERE component = %s",
            [COMPONENT],
        )
        (seconds,) = cursor.fetchone()
    return seconds if seconds is None else float(seconds)
