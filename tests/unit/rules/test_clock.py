"""Time fields follow the clock of each symbol's exchange."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rules.core.clock import time_facts

NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"


def facts(as_of, *, opens=(np.nan, np.nan), closes=(np.nan, np.nan)):
    return time_facts(
        as_of=as_of, timezones=(NEW_YORK, TOKYO), opens_at=np.array(opens), closes_at=np.array(closes)
    )


def test_time_of_day_and_weekday_are_local():
    told = facts(datetime(2026, 3, 9, 23, 30, tzinfo=UTC))  # Monday evening; New York is on summer time
    assert told["time_of_day"].tolist() == [19 * 60 + 30, 8 * 60 + 30]
    assert told["weekday"].tolist() == [0, 1]


def test_daylight_saving_moves_the_clock():
    winter = facts(datetime(2026, 3, 6, 15, 0, tzinfo=UTC))["time_of_day"][0]
    summer = facts(datetime(2026, 3, 9, 15, 0, tzinfo=UTC))["time_of_day"][0]
    assert (winter, summer) == (10 * 60, 11 * 60)


@pytest.mark.parametrize(
    ("minute", "since_open", "to_close"),
    [
        (0, 0, 390),
        (90, 90, 300),
        (390, 390, 0),  # the close itself, when a daily bar completes
        (-1, np.nan, np.nan),
        (391, np.nan, np.nan),
    ],
)
def test_minutes_are_known_while_the_exchange_is_open(minute, since_open, to_close):
    opens = datetime(2026, 3, 9, 13, 30, tzinfo=UTC).timestamp()
    as_of = datetime.fromtimestamp(opens + minute * 60, tz=UTC)
    told = facts(as_of, opens=(opens, np.nan), closes=(opens + 390 * 60, np.nan))
    np.testing.assert_equal(told["minutes_since_open"], [since_open, np.nan])
    np.testing.assert_equal(told["minutes_to_close"], [to_close, np.nan])
