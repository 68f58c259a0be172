"""A session's own hours: on the exchange's clock, in market time; what is unknown objects."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from rules.core.clock import time_facts
from rules.core.facts import MarketFacts
from sessions.core.window import check_window, read_window

FRIDAY = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)  # 9:30 in New York


def objection(window: dict[str, Any], *, minutes: int = 0, is_open: bool = True) -> str:
    """At so many minutes after the opening."""
    assert check_window(window) == []
    opens, closes = (FRIDAY.timestamp(), FRIDAY.timestamp() + 6.5 * 3600) if is_open else (np.nan, np.nan)
    as_of = datetime.fromtimestamp(FRIDAY.timestamp() + 60 * minutes, UTC)
    times = time_facts(
        as_of=as_of, timezones=["America/New_York"], opens_at=np.array([opens]), closes_at=np.array([closes])
    )
    read = read_window(window)
    assert read is not None
    market = MarketFacts(symbols=("AAPL",), values=times, completed={})
    return read.objection(market, symbol="AAPL", local_day=date(2026, 11, 27))


@pytest.mark.parametrize(
    ("window", "within", "outside"),
    [
        ({"minutes_after_open": 15}, 15, 14),
        ({"minutes_before_close": 30}, 360, 361),
        ({"from": "09:45"}, 15, 14),
        ({"to": "15:30"}, 360, 361),
        ({"from": "09:45", "to": "15:30", "weekdays": ["FRIDAY"]}, 15, 14),
    ],
)
def test_the_hours_at_their_boundary(window: dict[str, Any], within: int, outside: int) -> None:
    assert objection(window, minutes=within) == ""
    assert objection(window, minutes=outside).startswith("the session's hours: ")


def test_other_weekdays_and_blackout_dates() -> None:
    assert objection({"weekdays": ["MONDAY", "THURSDAY"]}) != ""
    assert objection({"blackout_dates": ["2026-11-26"]}) == ""
    assert objection({"blackout_dates": ["2026-11-26", "2026-11-27"]}) == (
        "2026-11-27 is a blackout date of the session"
    )


def test_what_is_not_known_objects() -> None:
    """The minutes from the open are unknown while the exchange is closed."""
    assert objection({"minutes_after_open": 0}, is_open=False) != ""


def test_no_window_means_always() -> None:
    assert read_window(None) is None
