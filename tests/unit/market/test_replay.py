"""The replay: three ticks a day in market time order, at its pace, resumable anywhere."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from market import sample_data
from market.core.calendar import ExchangeCalendar
from market.feed.providers.replay import ReplayedInstrument, ReplayProvider
from market.feed.providers.silent import SilentProvider

START = date(2003, 11, 24)


@pytest.fixture(scope="module")
def bars():
    return [bar for bar in sample_data.adjusted_bars() if date(2003, 11, 1) <= bar.day <= date(2004, 9, 30)]


@pytest.fixture(scope="module")
def calendars():
    days = {}
    for code, day in sample_data.calendar_days():
        days.setdefault(code, []).append(day)
    return {code: ExchangeCalendar(timezone="America/New_York", days=rows) for code, rows in days.items()}


@pytest.fixture
def provider(bars, calendars):
    return make(bars, calendars)


def make(bars, calendars, **changes):
    options = {
        "instruments": [
            ReplayedInstrument(row.symbol, row.exchange, row.tick_size) for row in sample_data.INSTRUMENTS
        ],
        "start": START,
        "days_per_second": 1.0,
    }
    return ReplayProvider(bars=bars, calendars=calendars, **(options | changes))


def drain(provider, count=None):
    ticks, now = [], 0.0
    while not provider.finished and (count is None or len(ticks) < count):
        tick = provider.poll(monotonic_now=now)
        if tick is not None:
            ticks.append(tick)
        now += provider.idle_seconds(monotonic_now=now)
    return ticks


def test_market_time_only_moves_forward(provider):
    times = [tick.at for tick in drain(provider)]
    assert len(times) > 400
    assert all(earlier < later for earlier, later in itertools.pairwise(times))


def test_a_day_is_a_tick_at_the_open_one_at_the_close_and_one_with_the_bars_after_it(provider, bars):
    """Who decides by the bars is too late for the close that they are completed by."""
    opening, closing, after = drain(provider, 3)
    day = {bar.symbol: bar for bar in bars if bar.day == START}
    assert opening.at == datetime(2003, 11, 24, 14, 30, tzinfo=UTC)
    assert closing.at == datetime(2003, 11, 24, 21, 0, tzinfo=UTC)
    assert [quote.symbol for quote in opening.quotes] == ["AAPL", "IBM", "MSFT"]
    assert (opening.bars, closing.bars, after.quotes) == ((), (), ())
    assert [quote.symbol for quote in closing.quotes] == ["AAPL", "IBM", "MSFT"]
    assert after.at == closing.at + timedelta(seconds=90)
    assert {bar.at for bar in after.bars} == {closing.at}
    for quote in opening.quotes:
        assert abs(quote.last - day[quote.symbol].open) <= Decimal("0.00005")
        assert quote.bid <= quote.last <= quote.ask
    for completed in after.bars:
        expected = day[completed.symbol]
        assert (completed.open, completed.close, completed.volume) == (
            expected.open,
            expected.close,
            expected.volume,
        )


def test_half_days_close_early(provider):
    closes = [tick.bars[0].at for tick in drain(provider) if tick.bars]
    assert datetime(2003, 11, 28, 18, 0, tzinfo=UTC) in closes


def test_a_symbol_appears_with_its_first_bar_and_not_before(provider):
    first = next(tick for tick in drain(provider) if any(quote.symbol == "GOOG" for quote in tick.quotes))
    assert first.at.date() == date(2004, 8, 19)


def test_it_goes_on_behind_the_last_published_time(bars, calendars):
    everything = drain(make(bars, calendars))
    for cut in (0, 1, 2, 101):
        resumed = make(bars, calendars)
        resumed.resume(after=everything[cut].at)
        assert drain(resumed) == everything[cut + 1 :]
    between = make(bars, calendars)
    between.resume(after=everything[2].at - timedelta(seconds=1))
    assert drain(between, 1) == [everything[2]]


def test_resuming_after_a_failure_repeats_the_tick_that_was_not_published(provider):
    first, second = drain(provider, 2)
    provider.resume(after=first.at)
    assert drain(provider, 1) == [second]


def test_at_the_end_it_is_finished_and_stays_so(provider):
    last = drain(provider)[-1]
    assert provider.finished
    assert provider.poll(monotonic_now=1e9) is None
    assert provider.idle_seconds(monotonic_now=1e9) > 0
    provider.resume(after=last.at)
    assert provider.finished


@pytest.mark.parametrize(("days_per_second", "gap"), [(1.0, 1 / 3), (10.0, 1 / 30)])
def test_the_pace_is_three_ticks_a_day(bars, calendars, days_per_second, gap):
    provider = make(bars, calendars, days_per_second=days_per_second)
    assert provider.poll(monotonic_now=100.0) is not None
    assert provider.idle_seconds(monotonic_now=100.0) == pytest.approx(gap)
    assert provider.poll(monotonic_now=100.0 + gap * 0.9) is None
    assert provider.poll(monotonic_now=100.0 + gap * 1.01) is not None


def test_after_a_stall_it_does_not_hurry_through_what_was_missed(provider):
    assert provider.poll(monotonic_now=0.0) is not None
    assert provider.poll(monotonic_now=60.0) is not None
    provider.poll(monotonic_now=60.0)
    assert provider.poll(monotonic_now=60.1) is None


def test_a_bar_on_no_trading_day_is_left_out(bars, calendars):
    saturday = replace(next(bar for bar in bars if bar.symbol == "IBM"), day=date(2003, 11, 29))
    provider = make([*bars, saturday], calendars)
    assert all(tick.at.date() != saturday.day for tick in drain(provider))


def test_an_exchange_without_a_calendar_gives_no_ticks(bars, calendars):
    provider = make(bars, {"XNYS": calendars["XNYS"]})
    assert {quote.symbol for tick in drain(provider) for quote in tick.quotes} == {"IBM"}


def test_the_silent_provider_never_ends_and_never_speaks():
    provider = SilentProvider()
    provider.resume(after=None)
    assert provider.poll(monotonic_now=0.0) is None
    assert not provider.finished
    assert provider.idle_seconds(monotonic_now=0.0) > 0
