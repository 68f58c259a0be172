"""Reads of the market room."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import F, Func, QuerySet

from foundation.arrays import array_text
from foundation.loading import selected
from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.indicators import Floats
from market.core.share_units import ShareAction, in_present_units
from market.models import (
    Bar,
    CalendarDay,
    CorporateAction,
    Exchange,
    Instrument,
    MarketGap,
    MarketRevision,
    QuarantinedQuote,
    QuarantineTotal,
    Quote,
    Recommendation,
    Snapshot,
)

FEED, FEED_FINISHED = "feed", "feed.finished"
"""Components of the feed's signs of life: that it lives, and that it lives but its data has ended."""
BAR_LATE = "4 hours"
"""how long after its session's close a bar may complete and still be that session's: no next session is so near"""


def instruments() -> QuerySet[Instrument]:
    return Instrument.objects.select_related("exchange").order_by("symbol")


def tags() -> set[str]:
    """Every tag that an active instrument bears."""
    borne = Instrument.objects.filter(is_active=True).annotate(tag=Func(F("tags"), function="unnest"))
    return set(borne.values_list("tag", flat=True).distinct())


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


def market_revision() -> int:
    """Moves whenever the market's past or a calendar changed (see MarketRevision); 0 before the first time."""
    return MarketRevision.objects.values_list("revision", flat=True).first() or 0


def quarantine() -> QuerySet[QuarantinedQuote]:
    """What was not believed in the last week, newest first."""
    return QuarantinedQuote.objects.order_by("-received_at", "-id")


def quarantine_totals() -> dict[str, int]:
    """How much was ever refused, by reason; reasons that never came up are absent."""
    return dict(QuarantineTotal.objects.order_by("reason").values_list("reason", "total"))


def gaps() -> QuerySet[MarketGap]:
    """Days without a bar, found last first; open ones have no `filled_at`."""
    return MarketGap.objects.select_related("instrument").order_by("-found_at", "-id")


def open_gaps() -> int:
    return MarketGap.objects.filter(filled_at=None).count()


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


def actions_in_force(
    instrument_ids: Sequence[int], *, as_of: datetime | None
) -> Mapping[int, list[ShareAction]]:
    """By instrument, those whose ex date has come at a market time (None: none has)."""
    if as_of is None:
        return {}
    found: dict[int, list[ShareAction]] = {}
    rows = CorporateAction.objects.filter(
        instrument_id__in=instrument_ids, withdrawn_at=None, ex_at__lte=as_of
    ).values_list("instrument_id", "ex_at", "new_units", "old_units", "amount")
    for identity, ex_at, new, old, amount in rows:
        units = new / old if new and old else 1.0
        action = ShareAction(ex_at.timestamp(), units=units, cash=float(amount or 0))
        found.setdefault(identity, []).append(action)
    return found


def recent_bars(
    *, instrument_ids: Sequence[int], count_max: int, as_of: datetime | None = None
) -> Mapping[int, BarHistory]:
    """The newest `count_max` daily bars of each instrument, as floats: features, not money.

    In the units of `as_of`, a market time (left out: now), whatever units they are stored in.
    """
    actions = actions_in_force(instrument_ids, as_of=as_of if as_of is not None else market_now())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.id, extract(epoch FROM bar.at)::float8,
                   extract(epoch FROM coalesce(bar.basis, bar.at))::float8, bar.open::float8, bar.high::float8,
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
    histories = {}
    for identity, numbers in grouped.items():
        table = np.array(numbers, dtype=np.float64)
        at, basis, bars = table[:, 0], table[:, 1], table[:, 2:]
        known = actions.get(identity, ())
        histories[identity] = BarHistory(
            at=at, bars=in_present_units(bars, at=at, basis=basis, actions=known)
        )
    return histories


COMMON_DAYS_REACH = "200 days"
"""how far back common days are looked for: 61 sessions are about 90 days"""
COMMON_YEAR_REACH = "400 days"
"""the same for 251 sessions, which are about 365 days"""
CALENDAR_SILENCE = "14 days"
"""an exchange without a session for so long is not waited for: its calendar has ended"""


def closes_on_common_days(
    *, instrument_ids: Sequence[int], bar_at: Floats, count: int, reach: str = COMMON_DAYS_REACH
) -> Floats:
    """float64[count, S]: closes on the last days, oldest first, on which all these exchanges had a session.

    So a return means the same stretch of time for every symbol although exchanges keep different holidays.
    All are in the units of the newest of these days.
    `bar_at` is float64[S], the epoch seconds of each symbol's last bar that may be looked at (NaN: none may);
    no day that closed after the newest of them counts, nor one farther back than `reach`. NaN where a symbol has
    no bar on such a day, and in the upper rows where there are fewer days.
    """
    closes = np.full((count, len(instrument_ids)), np.nan)
    known = np.flatnonzero(np.isfinite(bar_at))
    if not len(known):
        return closes
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH wanted AS MATERIALIZED (
                SELECT wanted.place, instrument.id, to_timestamp(wanted.until) AS until, exchange.code,
                       exchange.timezone
                FROM unnest(%(places)s::int[], %(ids)s::bigint[], %(until)s::float8[])
                     AS wanted (place, id, until)
                JOIN market_instrument AS instrument ON instrument.id = wanted.id
                JOIN market_exchange AS exchange ON exchange.code = instrument.exchange_id
            ), newest AS (
                SELECT max(until) AS at FROM wanted
            ), exchanges AS MATERIALIZED (
                SELECT calendar.exchange_id AS code
                FROM market_calendarday AS calendar CROSS JOIN newest
                WHERE calendar.exchange_id IN (SELECT code FROM wanted)
                  AND calendar.closes_at <= newest.at AND calendar.closes_at > newest.at - %(silence)s::interval
                GROUP BY calendar.exchange_id
            ), common AS (
                SELECT calendar.day
                FROM market_calendarday AS calendar CROSS JOIN newest
                WHERE calendar.exchange_id IN (SELECT code FROM exchanges)
                  AND calendar.closes_at <= newest.at AND calendar.closes_at > newest.at - %(reach)s::interval
                GROUP BY calendar.day
                HAVING count(*) = (SELECT count(*) FROM exchanges)
                ORDER BY calendar.day DESC LIMIT %(count)s
            )
            SELECT bar.place, array_position(days.newest_first, bar.day) AS age, bar.close, bar.at, bar.basis
            FROM (SELECT array_agg(day ORDER BY day DESC) AS newest_first, min(day) AS oldest FROM common) AS days
            CROSS JOIN LATERAL (
                -- A session that lasts until midnight completes as the next day begins.
                SELECT wanted.place, ((bar.at - interval '1 second') AT TIME ZONE wanted.timezone)::date AS day,
                       bar.close::float8, extract(epoch FROM bar.at)::float8 AS at,
                       extract(epoch FROM coalesce(bar.basis, bar.at))::float8 AS basis
                FROM wanted
                JOIN market_bar AS bar ON bar.instrument_id = wanted.id AND bar.interval = '1d'
                    AND bar.at <= wanted.until AND bar.at > days.oldest - interval '2 days'
                OFFSET 0
            ) AS bar
            WHERE bar.day = ANY(days.newest_first)
            """,
            {
                "places": known.tolist(),
                "ids": [instrument_ids[place] for place in known.tolist()],
                "until": bar_at[known].tolist(),
                "reach": reach,
                "silence": CALENDAR_SILENCE,
                "count": count,
            },
        )
        rows = cursor.fetchall()
    newest = datetime.fromtimestamp(float(np.nanmax(bar_at)), tz=UTC)
    actions = actions_in_force([instrument_ids[place] for place in known.tolist()], as_of=newest)
    adjusted = {place for place in known.tolist() if instrument_ids[place] in actions}
    table = np.full((count, 5), np.nan)
    times = {place: np.full((2, count), np.nan) for place in adjusted}
    for place, age, close, at, basis in rows:
        closes[count - age, place] = close
        if place in adjusted:
            times[place][:, count - age] = at, basis
    for place, (at, basis) in times.items():
        table[:, 3] = closes[:, place]
        closes[:, place] = in_present_units(
            table, at=at, basis=basis, actions=actions[instrument_ids[place]]
        )[:, 3]
    return closes


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
    wanted = """
        SELECT id AS instrument_id, 0 AS bar, %(as_of)s::timestamptz AS moment
        FROM market_instrument WHERE is_active
    """
    return [row for _, row in _advice(wanted, {"as_of": as_of.astimezone(UTC)})]


def advice_at_bars(*, instrument_ids: Sequence[int], bar_at: Floats) -> list[tuple[int, CurrentAdvice]]:
    """The same at the moments when each instrument's previous (0) and last (1) bar completed: (0 or 1, advice).

    `bar_at` is float64[2, S] epoch seconds, NaN where there is no such bar. Told from what is stored by now, so
    advice *about* a moment counts at it even when it came in later, as that of a model on the completed bar does.
    """
    bars, columns = np.nonzero(np.isfinite(bar_at))
    wanted = """
        SELECT wanted.instrument_id, wanted.bar, to_timestamp(wanted.moment) AS moment
        FROM unnest(%(instruments)s::bigint[], %(bars)s::int[], %(moments)s::float8[])
             AS wanted (instrument_id, bar, moment)
    """
    return _advice(
        wanted,
        {
            "instruments": [instrument_ids[column] for column in columns.tolist()],
            "bars": bars.tolist(),
            "moments": bar_at[bars, columns].tolist(),
        },
    )


def trades_within(*, after: datetime, until: datetime) -> bool:
    """Whether any exchange of an active instrument has a session that opens or is open within (after, until]."""
    exchanges = Instrument.objects.filter(is_active=True).values("exchange_id")
    days = CalendarDay.objects.filter(exchange_id__in=exchanges, opens_at__lte=until, closes_at__gt=after)
    return days.exists()


def latest_splits(
    *, instrument_ids: Collection[int], after: datetime, until: datetime
) -> dict[int, datetime]:
    """Instrument -> when it was last split within (after, until], market time; those that were not are absent."""
    return dict(
        selected(
            "SELECT instrument_id, max(ex_at) FROM market_corporateaction WHERE kind = %s AND withdrawn_at IS NULL"
            " AND instrument_id = ANY(%s::bigint[]) AND ex_at > %s AND ex_at <= %s GROUP BY instrument_id",
            [CorporateAction.Kind.SPLIT.value, array_text(instrument_ids), after, until],
        )
    )


def _advice(wanted: str, parameters: Mapping[str, Any]) -> list[tuple[int, CurrentAdvice]]:
    """Of each source at each `wanted` (instrument_id, bar, moment): the bar and the advice."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT wanted.bar, source.name, wanted.instrument_id, newest.id::text, newest.recommendation,
                   newest.confidence, newest.expected_return_percentage, newest.as_of
            FROM market_recommendationsource AS source
            CROSS JOIN ({wanted}) AS wanted
            CROSS JOIN LATERAL (
                SELECT * FROM market_recommendation AS advice
                WHERE advice.source_id = source.name AND advice.instrument_id = wanted.instrument_id
                  AND advice.as_of <= wanted.moment
                ORDER BY advice.as_of DESC, advice.created_at DESC, advice.id DESC
                LIMIT 1
            ) AS newest
            WHERE newest.expires_at > wanted.moment
            """,  # noqa: S608 - `wanted` is one of the two texts above
            parameters,
        )
        return [(bar, CurrentAdvice(*row)) for bar, *row in cursor.fetchall()]
