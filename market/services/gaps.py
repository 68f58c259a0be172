"""Days of which the market has no bar: found by the calendars, filled from the provider's history, told of when old.

A bar is missing because the feed was away over a close, or because what it said of that day was not believed. Either
way the indicators of the instrument would be computed over a hole.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Min

from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from market.core.history import HasHistory
from market.core.neighbours import strays
from market.core.plausibility import bar_fault
from market.models import Bar, CalendarDay, Instrument, MarketGap, Quote
from market.models.gaps import ERROR_LENGTH_MAX
from market.selectors import BAR_LATE, market_now
from market.services.history import ROWS_MAX, import_bars

log = structlog.get_logger(__name__)

REACH = "400 days"
"""how far back gaps are looked for: what indicators and correlations look at, and a little more"""
GRACE = timedelta(minutes=15)
"""market time after a close within which its bar is not missed yet"""
INSTRUMENTS_AT_ONCE = 500
RETRY_FIRST, RETRY_MAX = timedelta(minutes=1), timedelta(days=1)
ALERT_AFTER = timedelta(days=1)
BUDGET_SECONDS = 12.0
SHOWN_MAX = 20
NO_HISTORY = "the feed's provider has no history: import the bars (manage.py import_history)"


@dataclass(frozen=True, slots=True)
class _Missing:
    instrument_id: int
    day: date
    number: int
    """of the day among its exchange's trading days"""


@transaction.atomic
def find_gaps() -> int:
    """Record what is missing and not known to be; returns how many gaps are new. Concurrent callers find each once."""
    now = market_now()
    if now is None:
        return 0
    _one_at_a_time()
    identities = list(Instrument.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True))
    found: list[MarketGap] = []
    for start in range(0, len(identities), INSTRUMENTS_AT_ONCE):
        found += _ranges(_missing(identities[start : start + INSTRUMENTS_AT_ONCE], until=now - GRACE))
    MarketGap.objects.bulk_create(found)
    if found:
        symbols = dict(
            Instrument.objects.filter(pk__in={g.instrument_id for g in found}).values_list("pk", "symbol")
        )
        shown = [_shown(gap, symbols[gap.instrument_id]) for gap in found[:SHOWN_MAX]]
        append([Event(PLATFORM_STREAM, "market.gap_found", now, {"count": len(found), "gaps": shown})])
    return len(found)


@transaction.atomic
def settle_gaps() -> int:
    """Note which gaps have all their bars by now, whoever brought them; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE market_marketgap AS gap SET filled_at = clock_timestamp()
            FROM market_instrument AS instrument
            WHERE gap.filled_at IS NULL AND instrument.id = gap.instrument_id AND NOT EXISTS (
                SELECT FROM market_calendarday AS calendar
                WHERE calendar.exchange_id = instrument.exchange_id
                  AND calendar.day BETWEEN gap.first_day AND gap.last_day AND NOT EXISTS (
                    SELECT FROM market_bar AS bar
                    WHERE bar.instrument_id = gap.instrument_id AND bar.interval = '1d'
                      AND bar.at > calendar.opens_at AND bar.at <= calendar.closes_at + %s::interval
                )
            )
            RETURNING instrument.symbol, gap.first_day, gap.last_day
            """,
            [BAR_LATE],
        )
        filled = cursor.fetchall()
    if filled:
        shown = [
            {"symbol": symbol, "first_day": first, "last_day": last}
            for symbol, first, last in filled[:SHOWN_MAX]
        ]
        payload = {"count": len(filled), "gaps": shown}
        append([Event(PLATFORM_STREAM, "market.gap_filled", database_now(), payload)])
    return len(filled)


def backfill(*, history: HasHistory | None, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Ask for the bars of gaps that are due; returns how many gaps are filled by it.

    The provider is asked outside of any transaction. What it does not have is asked for again, ever more seldom, for
    an exchange corrects its days, too. Stops after `budget_seconds`; the rest is for the next time.
    """
    end = time.monotonic() + budget_seconds
    filled = settle_gaps()
    while time.monotonic() < end:
        gap = _claim()
        if gap is None:
            break
        error = _ask(gap, history)
        MarketGap.objects.filter(pk=gap.pk).update(last_error=error[:ERROR_LENGTH_MAX])
        filled += settle_gaps()
    return filled


@transaction.atomic
def alert_of_old_gaps() -> int:
    """Tell once of each gap that is open for more than a day (database time); returns of how many."""
    now = database_now()
    gaps = list(
        MarketGap.objects.select_related("instrument")
        .filter(filled_at=None, alerted_at=None, found_at__lt=now - ALERT_AFTER)
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .order_by("found_at", "pk")[:ROWS_MAX]
    )
    if not gaps:
        return 0
    MarketGap.objects.filter(pk__in=[gap.pk for gap in gaps]).update(alerted_at=now)
    shown = [_shown(gap, gap.instrument.symbol) for gap in gaps[:SHOWN_MAX]]
    names = ", ".join(f"{row['symbol']} {row['first_day']} to {row['last_day']}" for row in shown)
    more = f" and {len(gaps) - SHOWN_MAX} more" if len(gaps) > SHOWN_MAX else ""
    message = (
        f"Bars are missing for more than a day, and indicators are computed without them: {names}{more}. "
        f"{gaps[0].last_error or 'The provider was not asked yet'}. Import them, or look at the provider."
    )
    payload = {"count": len(gaps), "gaps": shown}
    alert = AlertSpec("warning", message[:2000])
    append([Event(PLATFORM_STREAM, "market.gap_stays_open", now, payload, alert)])
    return len(gaps)


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('gaps of the market', 0))")


def _missing(instrument_ids: Sequence[int], *, until: datetime) -> list[_Missing]:
    """Trading days since each instrument's first bar that have no bar and are in no open gap."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH wanted AS MATERIALIZED (
                SELECT instrument.id, instrument.exchange_id, (
                    SELECT min(at) FROM market_bar
                    WHERE instrument_id = instrument.id AND interval = '1d'
                ) AS first_at
                FROM market_instrument AS instrument WHERE instrument.id = ANY(%(ids)s)
            ), calendar AS MATERIALIZED (
                SELECT exchange_id, day, opens_at, closes_at,
                       row_number() OVER (PARTITION BY exchange_id ORDER BY day) AS number
                FROM market_calendarday
                WHERE exchange_id IN (SELECT exchange_id FROM wanted)
                  AND closes_at <= %(until)s AND closes_at > %(until)s - %(reach)s::interval
            )
            SELECT wanted.id, calendar.day, calendar.number
            FROM wanted JOIN calendar
                ON calendar.exchange_id = wanted.exchange_id AND calendar.opens_at >= wanted.first_at
            WHERE NOT EXISTS (
                SELECT FROM market_bar AS bar
                WHERE bar.instrument_id = wanted.id AND bar.interval = '1d'
                  AND bar.at > calendar.opens_at AND bar.at <= calendar.closes_at + %(late)s::interval
            ) AND NOT EXISTS (
                SELECT FROM market_marketgap AS gap
                WHERE gap.instrument_id = wanted.id AND gap.filled_at IS NULL
                  AND calendar.day BETWEEN gap.first_day AND gap.last_day
            )
            ORDER BY wanted.id, calendar.day
            """,
            {"ids": list(instrument_ids), "until": until, "reach": REACH, "late": BAR_LATE},
        )
        return [_Missing(*row) for row in cursor.fetchall()]


def _ranges(missing: Sequence[_Missing]) -> list[MarketGap]:
    """Days that follow each other on the exchange's calendar are one gap."""
    gaps: list[MarketGap] = []
    previous: _Missing | None = None
    for item in missing:
        follows = (
            previous is not None
            and previous.instrument_id == item.instrument_id
            and previous.number + 1 == item.number
        )
        if follows:
            gaps[-1].last_day = item.day
        else:
            gaps.append(MarketGap(instrument_id=item.instrument_id, first_day=item.day, last_day=item.day))
        previous = item
    return gaps


@transaction.atomic
def _claim() -> MarketGap | None:
    """A gap that is due, its next try put off: nobody else takes it, and a crash only delays it."""
    now = database_now()
    gap = (
        MarketGap.objects.select_related("instrument")
        .filter(filled_at=None, next_try_at__lte=now)
        .order_by("next_try_at", "pk")
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .first()
    )
    if gap is None:
        return None
    gap.next_try_at = now + min(RETRY_FIRST * 2 ** min(gap.tries, 12), RETRY_MAX)
    gap.tries += 1
    gap.save(update_fields=["next_try_at", "tries"])
    return gap


def _ask(gap: MarketGap, history: HasHistory | None) -> str:
    """Import what the provider has of it; returns what stands in the way, or nothing."""
    if history is None:
        return NO_HISTORY
    symbol = gap.instrument.symbol
    try:
        said = history.history(symbol=symbol, first=gap.first_day, last=gap.last_day)
        bars = [
            bar
            for bar in islice(said, ROWS_MAX)
            if bar.symbol == symbol and gap.first_day <= bar.day <= gap.last_day
        ]
    except Exception as error:  # whatever a provider does wrong, the next gap may be filled all the same
        log.warning("gap_not_filled", symbol=symbol, first_day=str(gap.first_day), error=repr(error))
        return f"the provider failed: {error!r}"
    collar = Decimal(str(settings.FEED_JUMP_PERCENTAGE))
    before, after = _prices_around(gap)
    possible = [
        bar for bar in bars if bar_fault(bar)[0] is None
    ]  # of the others importing says what is wrong
    straying = strays(possible, before=before, after=after, collar=collar)
    result = import_bars([bar for bar in bars if bar not in straying], actor=None, source="backfill")
    if result.refused:
        return f"the provider's bar was refused: {result.refused[0].message}"
    if straying:
        return (
            f"the bar of {straying[0].day} is more than {collar.normalize():f} % from what is known around it"
        )
    return "" if bars else "the provider has no bar of these days"


def _prices_around(gap: MarketGap) -> tuple[Decimal | None, Decimal | None]:
    """The last close before the gap, and the first price behind it: a bar's, or the present quote's."""
    days = CalendarDay.objects.filter(
        exchange=gap.instrument.exchange_id, day__in=[gap.first_day, gap.last_day]
    )
    around = days.aggregate(begin=Min("opens_at"), end=Max("closes_at"))
    bars = Bar.objects.filter(instrument=gap.instrument_id, interval=Bar.Interval.DAY)
    before = bars.filter(at__lte=around["begin"]).order_by("-at").values_list("close", flat=True).first()
    after = bars.filter(at__gt=around["end"]).order_by("at").values_list("open", flat=True).first()
    if after is None:
        quote = Quote.objects.filter(instrument=gap.instrument_id, market_time__gt=around["end"])
        after = quote.values_list("last", flat=True).first()
    return before, after


def _shown(gap: MarketGap, symbol: str) -> dict[str, object]:
    return {"symbol": symbol, "first_day": gap.first_day, "last_day": gap.last_day}
