"""Keeping what was not believed, for people to look at, with bounds: a provider that has gone mad fills no disk."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import connection

from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from market.core.plausibility import Reason
from market.core.quote_checks import Rejected
from market.models import QuarantinedQuote
from market.models.intake import DETAIL_LENGTH_MAX, SYMBOL_LENGTH_MAX

ROWS_PER_MINUTE_MAX = 100
"""of one reason; what is beyond is counted only"""
KEPT = timedelta(days=7)
ALERT_EVERY = timedelta(hours=1)
"""of one symbol"""
SYMBOLS_SHOWN_MAX = 20
PRUNE_BATCH, PRUNE_BATCHES_MAX = 5_000, 20
COUNTED_ONLY = frozenset({Reason.DUPLICATE})
"""no harm in it: that a provider repeats itself is worth a number, not a row"""


def keep(
    rejected: Sequence[Rejected], *, known: Collection[str], provider: str, received_at: datetime
) -> list[Event]:
    """Store in the caller's transaction; returns the events that the caller has to append (last).

    One event for all symbols of which nobody was told within the hour. Symbols that are not `known` count as one.
    """
    if not rejected:
        return []
    room = _count(rejected, received_at)
    kept = []
    for item in rejected:
        if item.reason in COUNTED_ONLY or room[item.reason] <= 0:
            continue
        room[item.reason] -= 1
        kept.append(item)
    news = _untold({_told_as(item, known) for item in kept}, received_at)
    first: dict[str, Rejected] = {}
    rows = []
    for item in kept:
        about = _told_as(item, known)
        is_news = about in news and about not in first
        if is_news:
            first[about] = item
        rows.append(_row(item, provider=provider, received_at=received_at, alerted=is_news, known=known))
    QuarantinedQuote.objects.bulk_create(rows)
    return [_event(first, provider=provider, received_at=received_at)] if first else []


def prune(*, now: datetime) -> int:
    """Forget what is older than a week (database time); in batches with a bound. Returns how many rows."""
    removed = 0
    for _ in range(PRUNE_BATCHES_MAX):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM market_quarantine WHERE id IN (
                    SELECT id FROM market_quarantine WHERE received_at < %s ORDER BY received_at LIMIT %s
                )
                """,
                [now - KEPT, PRUNE_BATCH],
            )
            removed += cursor.rowcount
            if cursor.rowcount < PRUNE_BATCH:
                break
    return removed


def _count(rejected: Sequence[Rejected], received_at: datetime) -> dict[Reason, int]:
    """Add to the totals; returns how many rows each reason may still leave in this minute."""
    counts = Counter(item.reason for item in rejected)
    reasons = sorted(counts)
    minute = received_at.replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO market_quarantinetotal AS known (reason, total, minute, in_minute)
            SELECT reason, number, %s, number FROM unnest(%s::text[], %s::bigint[]) AS new (reason, number)
            ON CONFLICT (reason) DO UPDATE SET
                total = known.total + excluded.total,
                minute = excluded.minute,
                in_minute = excluded.in_minute
                    + CASE WHEN known.minute = excluded.minute THEN known.in_minute ELSE 0 END
            RETURNING reason, in_minute
            """,
            [minute, reasons, [counts[reason] for reason in reasons]],
        )
        in_minute = dict(cursor.fetchall())
    return {reason: ROWS_PER_MINUTE_MAX - (in_minute[reason] - counts[reason]) for reason in reasons}


def _told_as(item: Rejected, known: Collection[str]) -> str:
    return item.symbol if item.symbol in known else ""


def _untold(symbols: set[str], received_at: datetime) -> set[str]:
    told = QuarantinedQuote.objects.filter(
        alerted=True, symbol__in=symbols, received_at__gt=received_at - ALERT_EVERY
    ).values_list("symbol", flat=True)
    return symbols - set(told)


def _row(
    item: Rejected, *, provider: str, received_at: datetime, alerted: bool, known: Collection[str]
) -> QuarantinedQuote:
    payload = {name: _clean(text) for name, text in item.payload.items()}
    symbol = item.symbol
    if symbol not in known:  # such a row tells by its empty symbol; what was said is in the payload
        payload["symbol"] = _clean(symbol)[:SYMBOL_LENGTH_MAX]
        symbol = ""
    return QuarantinedQuote(
        received_at=received_at,
        at=item.at,
        symbol=symbol,
        reason=item.reason.value,
        detail=_clean(item.detail)[:DETAIL_LENGTH_MAX],
        provider=provider,
        payload=payload,
        alerted=alerted,
    )


def _clean(text: str) -> str:
    """PostgreSQL's text takes neither NUL nor half of a surrogate pair."""
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()


def _event(first: dict[str, Rejected], *, provider: str, received_at: datetime) -> Event:
    symbols = sorted(first)
    shown = ", ".join(
        f"{symbol or 'unknown symbols'} ({first[symbol].reason.value}: {_clean(first[symbol].detail)[:100]})"
        for symbol in symbols[:SYMBOLS_SHOWN_MAX]
    )
    more = f" and {len(symbols) - SYMBOLS_SHOWN_MAX} more" if len(symbols) > SYMBOLS_SHOWN_MAX else ""
    message = (
        f"Market data was not believed and put aside: {shown}{more}. The last good prices stay until they are "
        "stale; see the quarantine."
    )
    payload = {
        "provider": provider,
        "symbols": symbols[:SYMBOLS_SHOWN_MAX],
        "reasons": [first[symbol].reason.value for symbol in symbols[:SYMBOLS_SHOWN_MAX]],
    }
    alert = AlertSpec("warning", message[:2000])
    return Event(PLATFORM_STREAM, "market.quarantined", received_at, payload, alert)
