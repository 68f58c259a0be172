"""Sessions by the exchange's own date; open from the opening to the closing auction."""

from datetime import UTC, date, datetime, timedelta

import pytest

from market.core.calendar import ExchangeCalendar, TradingDay


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FRIDAY = TradingDay(date(2004, 1, 2), at("2004-01-02T14:30"), at("2004-01-02T21:00"))
MONDAY = TradingDay(date(2004, 1, 5), at("2004-01-05T14:30"), at("2004-01-05T21:00"))
NEW_YORK = ExchangeCalendar(timezone="America/New_York", days=[MONDAY, FRIDAY])


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2004-01-02T14:29:59", False),
        ("2004-01-02T14:30", True),  # the opening auction
        ("2004-01-02T21:00", True),  # the closing auction
        ("2004-01-02T21:00:01", False),
        ("2004-01-03T15:00", False),  # Saturday
    ],
)
def test_the_market_is_open_from_open_to_close_both_included(moment, is_open):
    assert NEW_YORK.is_open(at(moment)) is is_open


def test_a_session_belongs_to_the_exchanges_date_not_to_the_date_in_utc():
    assert NEW_YORK.session_of(at("2004-01-03T02:00")) == FRIDAY  # still Friday evening in New York
    assert NEW_YORK.session_of(at("2004-01-03T06:00")) is None


@pytest.mark.parametrize(
    ("moment", "sessions", "close"),
    [
        ("2004-01-02T10:00", 1, FRIDAY.closes_at),  # before the open: today's session is the next
        ("2004-01-02T14:30", 1, MONDAY.closes_at),  # at the open: the next session is Monday's
        ("2004-01-02T21:00", 1, MONDAY.closes_at),
        ("2004-01-02T10:00", 2, MONDAY.closes_at),
        ("2004-01-02T21:00", 2, None),  # beyond what is known
    ],
)
def test_the_close_of_the_nth_session_that_opens_later(moment, sessions, close):
    assert NEW_YORK.close_after(at(moment), sessions=sessions) == close


@pytest.mark.parametrize(
    ("after", "until", "minutes"),
    [
        ("2004-01-02T15:00", "2004-01-02T16:30", 90),
        ("2004-01-02T14:00", "2004-01-02T14:45", 15),  # from before the open
        ("2004-01-02T20:30", "2004-01-05T15:00", 60),  # over the weekend
        ("2004-01-01T00:00", "2004-01-09T00:00", 2 * 390),
        ("2004-01-02T21:00", "2004-01-05T14:30", 0),
        ("2004-01-02T16:30", "2004-01-02T15:00", 0),
        ("2003-01-02T15:00", "2003-01-02T16:30", 0),  # nothing is known of then
    ],
)
def test_how_long_it_is_open_from_one_moment_to_another(after, until, minutes):
    assert NEW_YORK.open_within(at(after), at(until)) == timedelta(minutes=minutes)


EVENINGS = ExchangeCalendar(
    timezone="America/Chicago",
    days=[
        TradingDay(date(2004, 1, 5), at("2004-01-04T23:00"), at("2004-01-05T23:00")),
        TradingDay(date(2004, 1, 6), at("2004-01-05T23:00"), at("2004-01-06T22:00")),
    ],
)
"""They open at 17:00 of the day before; the second day is a short one."""


@pytest.mark.parametrize(
    ("moment", "day", "is_open"),
    [
        ("2004-01-05T00:00", 5, True),  # 18:00 of Sunday in Chicago
        ("2004-01-05T20:00", 5, True),
        ("2004-01-05T23:00", 6, True),  # one closes and the next one opens
        ("2004-01-06T01:00", 6, True),
        ("2004-01-06T22:30", 6, False),
        ("2004-01-07T01:00", 6, False),  # 19:00 of its date: nothing has begun
        ("2004-01-07T07:00", None, False),
    ],
)
def test_a_session_that_opens_the_evening_before_is_open_that_evening(moment, day, is_open):
    session = EVENINGS.session_of(at(moment))
    assert (None if session is None else session.day.day) == day
    assert EVENINGS.is_open(at(moment)) is is_open
