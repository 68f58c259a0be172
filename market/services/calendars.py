"""Keeping exchanges' calendars: loaded by hand, extended by themselves, and told of when they are about to end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Max

from foundation.clock import database_now
from foundation.errors import InvalidInput
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.models import Entry
from journal.services.journal import append
from market.core.calendar import TradingDay
from market.models import CalendarDay, Exchange, Instrument
from market.selectors import market_now
from market.services import revision
from market.services.exchange_days import ExchangeDays, NoDaysKnown, UnknownExchange, days_of

log = structlog.get_logger(__name__)

AHEAD = timedelta(days=365)
"""how far a calendar is kept"""
EXTEND_BELOW = AHEAD - timedelta(days=7)
"""how much of it is left when it is extended: so about once a week"""
ALERT_BELOW = timedelta(days=30)
ALERT_EVERY = timedelta(days=1)
ENDING = "market.calendar_ending"
DAYS_MAX = 40_000
CODE_LENGTH_MAX = 8

DaysOf = Callable[..., ExchangeDays]


@dataclass(frozen=True, slots=True)
class CalendarChange:
    added: int
    changed: int
    removed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def present() -> datetime:
    """Market time, or before the first snapshot the clock's: from when on a calendar is needed."""
    return market_now() or database_now()


def load_calendar(
    *, code: str, first: date, last: date, actor: AbstractBaseUser | None, days_of: DaysOf = days_of
) -> CalendarChange:
    """Make the exchange known, and its trading days from `first` to `last`.

    Sessions that have opened already are only added to, for bars and decisions were made by them; those to come are
    made what the library says by now: holidays are announced, and half days. Repeating it changes nothing. The feed
    notices by itself. Raises InvalidInput for an unknown code and for days in the wrong order.
    """
    if len(code) > CODE_LENGTH_MAX:
        raise InvalidInput(
            f"{code!r} is no code of an exchange: those have at most {CODE_LENGTH_MAX} characters."
        )
    if first > last:
        raise InvalidInput(f"{first} is after {last}: give the earlier day first.")
    try:
        known = days_of(code, first=first, last=last)
    except UnknownExchange as error:
        raise InvalidInput(f"{error}; use a market identifier code, like XNYS, or 24/7.") from error
    except NoDaysKnown as error:
        raise InvalidInput(f"{error}; update exchange_calendars, or ask for earlier days.") from error
    return _store(known, first=first, actor=actor)


def extend_calendars(*, days_of: DaysOf = days_of) -> int:
    """Extend what reaches less than a year ahead, of all exchanges of active instruments; returns how many.

    An exchange that the library does not know stays as it is. Who is near the end of its calendar after that is
    alerted of once a day: rules would take its days for days without trading.
    """
    now = present()
    extended = 0
    for code, newest in sorted(_newest_days().items()):
        if newest is not None and newest >= (now + EXTEND_BELOW).date():
            continue
        try:
            change = load_calendar(
                code=code, first=now.date(), last=(now + AHEAD).date(), actor=None, days_of=days_of
            )
        except InvalidInput as error:
            log.warning("calendar_not_extended", exchange=code, error=error.detail)
            continue
        extended += bool(change)
    _alert_of_ends(now)
    return extended


def _newest_days() -> Mapping[str, date | None]:
    codes = Instrument.objects.filter(is_active=True).values("exchange_id")
    exchanges = Exchange.objects.filter(code__in=codes).annotate(newest=Max("calendar_days__day"))
    return dict(exchanges.values_list("code", "newest"))


@transaction.atomic
def _store(known: ExchangeDays, *, first: date, actor: AbstractBaseUser | None) -> CalendarChange:
    assert len(known.days) <= DAYS_MAX
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('calendars', 0))")
    exchange, _ = Exchange.objects.get_or_create(
        code=known.code, defaults={"name": known.code, "timezone": known.timezone}
    )
    now = present()
    wanted = {day.day: day for day in known.days}
    there = {
        row.day: row
        for row in CalendarDay.objects.filter(exchange=exchange, day__gte=first, day__lte=known.known_until)
    }
    fresh = [
        CalendarDay(exchange=exchange, day=day.day, opens_at=day.opens_at, closes_at=day.closes_at)
        for day in known.days
        if day.day not in there
    ]
    changed = [row for row in there.values() if row.opens_at > now and _correct(row, wanted.get(row.day))]
    gone = [row.pk for row in there.values() if row.opens_at > now and row.day not in wanted]
    CalendarDay.objects.bulk_create(fresh, batch_size=2_000)
    CalendarDay.objects.bulk_update(changed, ["opens_at", "closes_at"], batch_size=500)
    CalendarDay.objects.filter(pk__in=gone).delete()
    change = CalendarChange(len(fresh), len(changed), len(gone))
    if change:
        revision.bump()
        payload = {
            "exchange": exchange.code, "added": change.added, "changed": change.changed, "removed": change.removed,
            "known_until": known.known_until, "actor": actor.get_username() if actor else "system",
        }  # fmt: skip
        append([Event(PLATFORM_STREAM, "market.calendar_loaded", database_now(), payload)])
    return change


def _correct(row: CalendarDay, wanted: TradingDay | None) -> bool:
    """Take over other hours; whether there were any."""
    if wanted is None or (row.opens_at, row.closes_at) == (wanted.opens_at, wanted.closes_at):
        return False
    row.opens_at, row.closes_at = wanted.opens_at, wanted.closes_at
    return True


@transaction.atomic
def _alert_of_ends(now: datetime) -> None:
    limit = (now + ALERT_BELOW).date()
    ending = {code: day for code, day in sorted(_newest_days().items()) if day is None or day < limit}
    if not ending:
        return
    moment = database_now()
    if Entry.objects.filter(
        stream_id=PLATFORM_STREAM, kind=ENDING, recorded_at__gt=moment - ALERT_EVERY
    ).exists():
        return
    shown = ", ".join(f"{code} ({day or 'none at all'})" for code, day in list(ending.items())[:20])
    message = (
        f"The calendar ends soon, and no trading day is known behind it: {shown}. Load it by "
        "`manage.py load_calendar`, or update exchange-calendars."
    )
    alert = AlertSpec("warning", message)
    append([Event(PLATFORM_STREAM, ENDING, moment, {"exchanges": ending}, alert)])
