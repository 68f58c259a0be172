"""A quote of before a split in units of after it; unknown where nobody can tell in which units it was made."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.quote_checks import Split
from market.core.quote_units import in_units_of
from market.core.ticks import QuoteTick


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DAYS = [
    TradingDay(date(2004, 1, day), at(f"2004-01-0{day}T14:30"), at(f"2004-01-0{day}T21:00"))
    for day in (5, 6, 7)
]
NEW_YORK = ExchangeCalendar(timezone="America/New_York", days=DAYS)
OPEN = DAYS[1].opens_at
TWO_FOR_ONE, ONE_FOR_TEN = Split(OPEN, 2, 1), Split(DAYS[2].opens_at, 1, 10)


def prices(quoted, *splits, now=OPEN, calendar=NEW_YORK):
    quote = QuoteTick("AAPL", Decimal(99), Decimal(101), Decimal(100), Decimal(7), at(quoted))
    same = in_units_of(quote, at=now, splits=splits, calendar=calendar)
    assert (same.symbol, same.volume, same.at) == (quote.symbol, quote.volume, quote.at)
    return same.bid, same.ask, same.last


@pytest.mark.parametrize(
    ("quoted", "told"),
    [
        ("2004-01-05T21:00", (Decimal("49.5"), Decimal("50.5"), Decimal(50))),  # at the close before
        ("2004-01-06T01:00", (Decimal("49.5"), Decimal("50.5"), Decimal(50))),  # that evening in New York
        ("2004-01-06T14:30", (99, 101, 100)),  # at the ex time
        ("2004-01-06T15:00", (99, 101, 100)),
    ],
)
def test_what_was_quoted_before_a_split_is_told_in_units_of_after_it(quoted, told):
    assert prices(quoted, TWO_FOR_ONE) == told


def test_a_split_that_is_to_come_changes_nothing():
    assert prices("2004-01-05T21:00", TWO_FOR_ONE, now=OPEN - timedelta(microseconds=1)) == (99, 101, 100)


def test_several_splits_are_one_after_the_other():
    assert prices("2004-01-05T21:00", TWO_FOR_ONE, ONE_FOR_TEN, now=DAYS[2].opens_at) == (495, 505, 500)


@pytest.mark.parametrize(
    ("quoted", "calendar"),
    [
        ("2004-01-06T13:00", NEW_YORK),  # 8:00 of the ex day: real markets quote in new units by then
        ("2004-01-05T21:00", None),
    ],
)
def test_in_units_that_nobody_can_tell_it_is_unknown(quoted, calendar):
    assert all(price.is_nan() for price in prices(quoted, TWO_FOR_ONE, calendar=calendar))


def test_within_trading_hours_it_is_known_to_be_of_before():
    within = Split(at("2004-01-06T16:00"), 2, 1)
    assert prices("2004-01-06T15:59", within, now=within.at)[2] == 50
