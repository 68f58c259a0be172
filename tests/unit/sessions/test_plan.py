"""When a plan's session runs: by the exchange's own times of the day, on the real calendar of the sample market."""

from datetime import UTC, date, datetime

import pytest

from market.core.calendar import TradingDay
from market.sample_data import calendar_days
from sessions.core.plan import PlanTimes

NEW_YORK = {day.day: day for code, day in calendar_days() if code == "XNYS"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "before", "after", "hours"),
    [
        ("2004-01-05", 0, 0, ("2004-01-05T14:30", "2004-01-05T21:00")),  # an ordinary Monday
        ("2004-01-05", 30, 15, ("2004-01-05T14:00", "2004-01-05T21:15")),
        (
            "2004-01-05",
            -15,
            -10,
            ("2004-01-05T14:45", "2004-01-05T20:50"),
        ),  # after the open, before the close
        ("2003-11-28", 0, -10, ("2003-11-28T14:30", "2003-11-28T17:50")),  # a half day after Thanksgiving
        ("2003-11-28", -240, 0, None),  # would begin after the half day's close
        ("2003-11-28", -210, 0, None),  # … and just at it
        ("2004-04-02", 0, 0, ("2004-04-02T14:30", "2004-04-02T21:00")),  # the last Friday of winter
        ("2004-04-05", 0, 0, ("2004-04-05T13:30", "2004-04-05T20:00")),  # the first Monday of summer
    ],
)
def test_hours_follow_the_exchanges_day(
    day: str, before: int, after: int, hours: tuple[str, str] | None
) -> None:
    found = PlanTimes(before, after).hours_on(NEW_YORK[date.fromisoformat(day)])
    assert (found and (found.starts_at, found.ends_at)) == (hours and (at(hours[0]), at(hours[1])))


@pytest.mark.parametrize(
    ("weekdays", "runs"), [((), True), (("MONDAY",), True), (("TUESDAY", "FRIDAY"), False)]
)
def test_only_the_weekdays_that_are_named(weekdays: tuple[str, ...], runs: bool) -> None:
    times = PlanTimes(weekdays=weekdays)
    assert (times.hours_on(NEW_YORK[date(2004, 1, 5)]) is not None) is runs


@pytest.mark.parametrize(
    ("now", "on"),
    [
        ("2004-01-05T14:29:59", False),
        ("2004-01-05T14:30", True),  # the very moment
        ("2004-01-05T20:59:59", True),
        ("2004-01-05T21:00", False),  # the end is not of them
    ],
)
def test_hours_are_on_from_their_start_to_before_their_end(now: str, on: bool) -> None:
    hours = PlanTimes().hours_on(NEW_YORK[date(2004, 1, 5)])
    assert hours is not None and hours.are_on(at(now)) is on


def test_a_day_without_a_night_ends_where_the_next_begins() -> None:
    first = TradingDay(date(2004, 1, 5), at("2004-01-05T00:00"), at("2004-01-06T00:00"))
    second = TradingDay(date(2004, 1, 6), at("2004-01-06T00:00"), at("2004-01-07T00:00"))
    midnight = at("2004-01-06T00:00")
    hours = [PlanTimes().hours_on(day) for day in (first, second)]
    assert [found is not None and found.are_on(midnight) for found in hours] == [False, True]
