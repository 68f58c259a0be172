from datetime import UTC, datetime, timedelta, timezone

import pytest

from portfolios.core.equity import bucket_of


@pytest.mark.parametrize(
    ("at", "minutes", "begins"),
    [
        (datetime(2004, 1, 5, 14, 30, tzinfo=UTC), 15, datetime(2004, 1, 5, 14, 30, tzinfo=UTC)),
        (datetime(2004, 1, 5, 14, 44, 59, 999_999, tzinfo=UTC), 15, datetime(2004, 1, 5, 14, 30, tzinfo=UTC)),
        (datetime(2004, 1, 5, 14, 44, tzinfo=UTC), 1440, datetime(2004, 1, 5, tzinfo=UTC)),
        # on the UTC clock, wherever somebody reads it
        (datetime(2004, 1, 5, 20, 10, tzinfo=timezone(timedelta(hours=5, minutes=45))), 30,
         datetime(2004, 1, 5, 14, 0, tzinfo=UTC)),
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), 15, datetime(1969, 12, 31, 23, 45, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_an_interval_begins_on_the_utc_clock(at: datetime, minutes: int, begins: datetime) -> None:
    assert bucket_of(at, minutes=minutes) == begins
