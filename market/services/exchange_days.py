"""Trading days as the library exchange_calendars knows them. It pulls pandas, so it is loaded only when it is asked."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date

from market.core.calendar import TradingDay


class UnknownExchange(LookupError):
    """The library has no calendar of this code."""


class NoDaysKnown(LookupError):
    """The library's calendar of this exchange has ended: it needs an update."""


@dataclass(frozen=True, slots=True)
class ExchangeDays:
    code: str
    timezone: str
    """IANA name"""
    days: Sequence[TradingDay]
    known_until: date
    """the last day of which the library could say anything; of some exchanges it knows the current year only"""


def days_of(code: str, *, first: date, last: date) -> ExchangeDays:
    """The exchange's sessions from `first` to `last`, half days included, times in UTC. UnknownExchange, NoDaysKnown.

    `24/7` is the one that never closes: each UTC day is a session, which ends where the next begins.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # between the library and its pandas
        return _asked(code, first, last)


def _asked(code: str, first: date, last: date) -> ExchangeDays:
    import exchange_calendars  # noqa: PLC0415  pulls pandas: only who extends a calendar pays for it

    try:
        calendar = exchange_calendars.get_calendar(code, start=first.isoformat(), end=last.isoformat())
        known_until = last
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise UnknownExchange(f"exchange_calendars has no calendar {code!r}") from error
    except ValueError:  # it does not reach so far: take what it has
        try:
            calendar = exchange_calendars.get_calendar(code, start=first.isoformat())
        except (
            ValueError,
            exchange_calendars.errors.CalendarError,
        ) as error:  # which is nothing from there on
            raise NoDaysKnown(
                f"exchange_calendars knows no days of {code} from {first} on: {error}"
            ) from error
        known_until = min(last, calendar.last_session.date())
    days = [
        TradingDay(
            day=session.date(),
            opens_at=calendar.session_open(session).to_pydatetime().astimezone(UTC),
            closes_at=calendar.session_close(session).to_pydatetime().astimezone(UTC),
        )
        for session in calendar.sessions
        if first <= session.date() <= last
    ]
    return ExchangeDays(code, str(calendar.tz), days, known_until)
