"""Reads of the market room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection
from django.db.models import QuerySet

from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.indicators import Floats
from market.models import Bar, CalendarDay, Exchange, Instrument, Quote, Recommendation, Snapshot


def instruments() -> QuerySet[Instrument]:
    return Instrument.objects.select_related("exchange").order_by("symbol")


def bars(*, symbol: str, interval: str = "1d") -> QuerySet[Bar]:
    """Completed bars of one symbol, newest first."""
    return Bar.objects.filter(instrument__symbol=symbol, interval=interval).order_by("-at")


def quotes() -> QuerySet[Quote]:
    return Quote.objects.select_related("instrument").order_by("instrument__symbol")


def recommendations() -> QuerySet[Recommendation]:
    """All advice, newest market time first, expired ones included."""
    return Recommendation.objects.select_related("instrument", "source").order_by(
        "-as_of", "-created_at", "id"
    )


def market_now() -> datetime | None:
    """Market time: the newest snapshot's; None before the first."""
    return Snapshot.objects.order_by("-version").values_list("as_of", flat=True).first()


def calendars(
    *, since: datetime | None = None, until: datetime | None = None, codes: Sequence[str] | None = None
) -> dict[str, ExchangeCalendar]:
    """The exchanges' calendars by code, optionally of a part of the time only (which is cheaper)."""
    exchanges = Exchange.objects.all() if codes is None else Exchange.objects.filter(code__in=codes)
    days = CalendarDay.objects.filter(exchange__in=exchanges)
    if since is not None:
        days = days.filter(closes_at__gte=since)
    if until is not None:
        days = days.filter(opens_at__lte=until)
    by_exchange: dict[str, list[TradingDay]] = {}
    for code, day, opens_at, closes_at in days.values_list("exchange_id", "day", "opens_at", "closes_at"):
        by_exchange.setdefault(code, []).append(TradingDay(day=day, opens_at=opens_at, closes_at=closes_at))
    return {
        exchange.code: ExchangeCalendar(timezone=exchange.timezone, days=by_exchange.get(exchange.code, []))
        for exchange in exchanges
    }


def close_after(*, exchange: str, moment: datetime, sessions: int) -> datetime:
    """When the exchange's n-th session that opens after `moment` closes.

    Beyond the known calendar we count calendar days instead: an expiry must exist, and this one errs to the
    early side.
    """
    reach = timedelta(days=14 + 2 * sessions)
    calendar = calendars(since=moment, until=moment + reach, codes=[exchange]).get(exchange)
    known = calendar.close_after(moment, sessions=sessions) if calendar else None
    return known if known is not None else moment + timedelta(days=sessions)


@dataclass(frozen=True, slots=True)
class BarHistory:
    at: Floats
    """[T] epoch seconds of the closes, oldest first"""
    bars: Floats
    """[T, 5] open, high, low, close, volume"""


def recent_bars(*, instrument_ids: Sequence[int], count_max: int) -> Mapping[int, BarHistory]:
    """The newest `count_max` daily bars of each instrument, as floats: features, not money."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.id, extract(epoch FROM bar.at)::float8, bar.open::float8, bar.high::float8,
                   bar.low::float8, bar.close::float8, bar.volume::float8
            FROM unnest(%s::bigint[]) AS wanted (id)
            CROSS JOIN LATERAL (
                SELECT * FROM market_bar
                WHERE instrument_id = wanted.id AND interval = '1d'
                ORDER BY at DESC LIMIT %s
            ) AS bar
            ORDER BY wanted.id, bar.at
            """,
            [list(instrument_ids), count_max],
        )
        rows = cursor.fetchall()
    grouped: dict[int, list[tuple[float, ...]]] = {}
    for identity, *numbers in rows:
        grouped.setdefault(identity, []).append(tuple(numbers))
    return {
        identity: BarHistory(at=table[:, 0], bars=table[:, 1:])
        for identity, table in ((key, np.array(value, dtype=np.float64)) for key, value in grouped.items())
    }


@dataclass(frozen=True, slots=True)
class CurrentAdvice:
    source: str
    instrument_id: int
    id: str
    recommendation: str
    confidence: float
    expected_return_percentage: float | None
    as_of: datetime


def current_advice(*, as_of: datetime) -> list[CurrentAdvice]:
    """For each source and active instrument the newest advice known at a market time, unless it has expired.

    Newest first, then the expiry: an older piece of advice that was superseded never comes back to life when
    its successor expires. One index probe for each source and instrument, however long the history is.
    """
    assert as_of.tzinfo is not None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT source.name, instrument.id, newest.id::text, newest.recommendation, newest.confidence,
                   newest.expected_return_percentage, newest.as_of
            FROM market_recommendationsource AS source
            CROSS JOIN market_instrument AS instrument
            CROSS JOIN LATERAL (
                SELECT * FROM market_recommendation AS advice
                WHERE advice.source_id = source.name AND advice.instrument_id = instrument.id
                  AND advice.as_of <= %(as_of)s
                ORDER BY advice.as_of DESC, advice.created_at DESC, advice.id DESC
                LIMIT 1
            ) AS newest
            WHERE instrument.is_active AND newest.expires_at > %(as_of)s
            """,
            {"as_of": as_of.astimezone(UTC)},
        )
        return [CurrentAdvice(*row) for row in cursor.fetchall()]
