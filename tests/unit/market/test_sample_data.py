"""The shipped files are what their README says."""

import hashlib
import io
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from django.core.management import call_command

from market import sample_data

SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"


def test_the_bars_are_the_published_file():
    assert hashlib.sha256(sample_data.BARS_FILE.read_bytes()).hexdigest() == SHA256
    counts = Counter(bar.symbol for bar in sample_data.raw_bars())
    assert counts == {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}


def test_every_bar_falls_on_a_trading_day_and_no_trading_day_is_missing():
    exchange = {instrument.symbol: instrument.exchange for instrument in sample_data.INSTRUMENTS}
    sessions = {code: set() for code in exchange.values()}
    for code, day in sample_data.calendar_days():
        sessions[code].add(day.day)
    traded = {}
    for bar in sample_data.raw_bars():
        traded.setdefault(bar.symbol, set()).add(bar.day)
    for symbol, days in traded.items():
        expected = {day for day in sessions[exchange[symbol]] if min(days) <= day <= max(days)}
        assert days == expected


def test_the_calendar_knows_half_days_and_daylight_saving_time():
    days = {day.day: day for code, day in sample_data.calendar_days() if code == "XNYS"}
    thanksgiving_friday = days[date(2003, 11, 28)]
    assert thanksgiving_friday.closes_at == datetime(2003, 11, 28, 18, 0, tzinfo=UTC)  # 13:00 in New York
    assert days[date(2004, 1, 2)].opens_at == datetime(2004, 1, 2, 14, 30, tzinfo=UTC)  # winter
    assert days[date(2004, 7, 2)].opens_at == datetime(2004, 7, 2, 13, 30, tzinfo=UTC)  # summer
    assert date(2001, 9, 12) not in days  # closed after the attacks


@pytest.mark.filterwarnings("ignore:Series.values")  # exchange_calendars on a newer pandas
def test_the_calendar_file_is_what_its_command_makes(tmp_path):
    rebuilt = tmp_path / "calendar.csv.gz"
    call_command("build_calendar", output=rebuilt, stdout=io.StringIO())
    assert list(sample_data.calendar_days(rebuilt)) == list(sample_data.calendar_days())
