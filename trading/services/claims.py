"""Claims on orders at real brokers: who has one works on it alone, until its lease is over or its fence is raised.

A claim is taken under the portfolio's lock, in a transaction that ends before anything is asked of a broker. All times
are database time.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from foundation.heartbeats import instance_name
from portfolios.models import BrokerAccount, Portfolio
from portfolios.services.books import Books, open_books
from trading.models import AutoTrade

# So many of one account in one look, so that the oldest of every account come first.
PER_ACCOUNT_MAX = 20
LOOK_MAX = 200


@dataclass(frozen=True)
class Due:
    """A trade that somebody must do something about at its broker."""

    trade_id: uuid.UUID
    account_id: uuid.UUID


@dataclass(frozen=True)
class Claim:
    """The trade as it was claimed. at: when; its fence is the trade's."""

    trade: AutoTrade
    at: datetime

    @property
    def fence(self) -> int:
        return self.trade.fence


_DUE = """
    WITH due AS (
        SELECT t.id, t.account_id, t.created_at,
               row_number() OVER (PARTITION BY t.account_id ORDER BY t.created_at, t.id) AS place
        FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
        WHERE a.broker <> %(paper)s AND NOT t.account_id = ANY(%(paused)s::uuid[])
            AND NOT t.id = ANY(%(seen)s::uuid[]) AND ({condition})
    )
    SELECT id, account_id FROM due WHERE place <= %(each)s ORDER BY place, created_at, id LIMIT %(most)s
"""
PENDING = "t.status = 'pending'"
CANCELLING = "t.status = 'cancelling' AND (t.claimed_until IS NULL OR t.claimed_until < clock_timestamp())"
LOST = "t.status = 'submitting' AND t.claimed_until < clock_timestamp()"
TO_ASK = "t.status IN ('unknown', 'quarantined') AND t.ask_at < clock_timestamp()"


def due(condition: str, *, paused: Sequence[uuid.UUID] = (), seen: Sequence[uuid.UUID] = ()) -> list[Due]:
    """What is due at real brokers, fair between accounts: the oldest of each, then the second of each. `condition` is
    one of those above."""
    columns: dict[str, Any] = {
        "paper": BrokerAccount.Broker.PAPER.value, "paused": list(paused), "seen": list(seen),
        "each": PER_ACCOUNT_MAX, "most": LOOK_MAX,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DUE.format(condition=condition), columns)
        return [Due(*row) for row in cursor.fetchall()]


class Busy(Exception):
    """Somebody else is at work in the trade's portfolio at this moment."""


def lock_free(trade_id: uuid.UUID) -> tuple[Books, AutoTrade]:
    """The books and the trade under lock, in the caller's transaction. Raises Busy instead of waiting: who has the
    portfolio may have been stopped in the middle of his work."""
    portfolio = Portfolio.objects.filter(trades=trade_id).select_for_update(
        no_key=True, skip_locked=True, of=("self",)
    )
    if (found := portfolio.first()) is None:
        raise Busy(f"the portfolio of trade {trade_id}")
    return open_books([found.id]), locked(trade_id)


def lock(trade_id: uuid.UUID) -> tuple[Books, AutoTrade]:
    """The same, waiting for whoever is busy there."""
    portfolio_id = AutoTrade.objects.values_list("portfolio_id", flat=True).get(pk=trade_id)
    return open_books([portfolio_id]), locked(trade_id)


def locked(trade_id: uuid.UUID) -> AutoTrade:
    related = ("account", "session", "rule", "rule_version", "instrument")
    rows = AutoTrade.objects.select_related(*related).select_for_update(no_key=True, of=("self",))
    return rows.get(pk=trade_id)


_TAKE = """
    UPDATE auto_trades SET
        fence = fence + 1, claimed_by = %(by)s,
        claimed_until = clock_timestamp() + make_interval(secs => %(lease)s),
        attempt = attempt + CASE WHEN %(sends)s THEN 1 ELSE 0 END,
        sent_at = CASE WHEN %(sends)s THEN clock_timestamp() ELSE sent_at END,
        ask_at = CASE WHEN %(asks)s THEN clock_timestamp() + make_interval(secs => %(lease)s) ELSE ask_at END
    WHERE id = %(id)s
    RETURNING fence, claimed_by, claimed_until, attempt, sent_at, ask_at, clock_timestamp()
"""


def take(trade: AutoTrade, *, sends: bool = False, asks: bool = False) -> Claim:
    """Claim a trade whose row the caller has locked. sends: its order goes out (anew); asks: its broker is asked."""
    columns: dict[str, Any] = {
        "id": trade.id, "by": instance_name(), "lease": settings.BROKER_LEASE_SECONDS, "sends": sends, "asks": asks,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, columns)
        row = cursor.fetchone()
    names = ("fence", "claimed_by", "claimed_until", "attempt", "sent_at", "ask_at")
    for name, value in zip(names, row, strict=False):
        setattr(trade, name, value)
    return Claim(trade, row[-1])


def hand_back(trade: AutoTrade, **columns: object) -> None:
    """Nobody has it any more. `columns`: when it is due again (ask_at, claimed_until) and what was counted."""
    columns = {"claimed_by": "", "claimed_until": None} | columns
    AutoTrade.objects.filter(pk=trade.pk, fence=trade.fence).update(**columns)
    for name, value in columns.items():
        setattr(trade, name, value)
