"""Bars with a time of day: each is a quote when it completed, and together they are the bar of their day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar, TradingDay
from market.feed.providers.base import BAR_WAIT
from market.feed.providers.replay import IDLE_SECONDS_WHEN_FINISHED, ReplayedInstrument, ReplayProvider
from market.services.bar_files import FileBar

DAY = date(2024, 3, 4)


def at(hour, minute=0, day=DAY):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


TUESDAY = date(2024, 3, 5)
MIDNIGHT = at(0, day=TUESDAY)
CALENDARS = {
    "XNYS": ExchangeCalendar(
        timezone="America/New_York",
        days=[TradingDay(day, at(14, 30, day), at(21, 0, day)) for day in (DAY, TUESDAY)],
    ),
    "24/7": ExchangeCalendar(
        timezone="UTC",
        days=[
            TradingDay(DAY, at(0), MIDNIGHT),
            TradingDay(TUESDAY, MIDNIGHT, MIDNIGHT + timedelta(days=1)),
        ],
    ),
}
INSTRUMENTS = [
    ReplayedInstrument("IBM", "XNYS", Decimal("0.01")),
    ReplayedInstrument("COIN", "24/7", Decimal("0.01")),
]


def row(moment, close, *, symbol="IBM", high=None, low=None, volume=10):
    close = Decimal(close)
    bar = DayBar(
        symbol, moment.date(), close, Decimal(high or close), Decimal(low or close), close, Decimal(volume)
    )
    return FileBar(1, bar, moment)


def replay(*rows, days=(), start=DAY, days_per_second=1.0):
    return ReplayProvider(
        bars=days, moments=rows, instruments=INSTRUMENTS, calendars=CALENDARS, start=start,
        days_per_second=days_per_second,
    )  # fmt: skip


def drain(provider):
    ticks, now = [], 0.0
    while not provider.finished:
        tick = provider.poll(monotonic_now=now)
        if tick is not None:
            ticks.append(tick)
        now += provider.idle_seconds(monotonic_now=now)
    return ticks, now


def test_each_is_a_quote_at_its_time_and_the_day_is_complete_at_the_close():
    (*ticks, last), _ = drain(
        replay(row(at(15), 100, high=103), row(at(17), 102, low=98), row(at(16), 101, volume=30))
    )
    assert [(tick.at, tick.quotes[0].last, tick.quotes[0].volume) for tick in ticks] == [
        (at(15), 100, 10),
        (at(16), 101, 40),
        (at(17), 102, 50),
        (at(21), 102, 50),
    ]
    assert [len(tick.bars) for tick in ticks] == [0, 0, 0, 0]
    (bar,) = last.bars
    assert (bar.at, last.at, last.quotes) == (at(21), at(21) + BAR_WAIT, ())
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100, 103, 98, 102, 50)


def test_the_one_that_completes_with_the_session_is_its_last_quote():
    ticks, _ = drain(replay(row(at(15), 100), row(at(21), 101)))
    assert [(tick.at, len(tick.quotes), len(tick.bars)) for tick in ticks] == [
        (at(15), 1, 0),
        (at(21), 1, 0),
        (at(21) + BAR_WAIT, 0, 1),
    ]


def test_what_is_outside_of_the_sessions_or_before_the_start_is_left_out():
    tuesday = at(15, day=date(2024, 3, 5))
    ticks, _ = drain(
        replay(row(at(14, 30), 1), row(at(21, 1), 2), row(at(15), 3), row(tuesday, 4), start=tuesday.date())
    )
    assert [tick.at for tick in ticks] == [tuesday, close := tuesday.replace(hour=21), close + BAR_WAIT]


def test_midnight_belongs_to_the_day_that_ends():
    midnight = at(0) + timedelta(days=1)
    ticks, _ = drain(replay(row(at(12), 5, symbol="COIN"), row(midnight, 6, symbol="COIN")))
    assert [(tick.at, [(bar.at, bar.close) for bar in tick.bars]) for tick in ticks] == [
        (at(12), []),
        (midnight, []),
        (midnight + BAR_WAIT, [(midnight, 6)]),
    ]


def test_days_and_moments_and_exchanges_go_together_in_order_of_time():
    ibm = DayBar("IBM", DAY, *[Decimal(100)] * 4, Decimal(1))
    ticks, _ = drain(replay(row(at(12), 5, symbol="COIN"), row(at(21), 6, symbol="COIN"), days=[ibm]))
    assert [(tick.at, sorted(quote.symbol for quote in tick.quotes)) for tick in ticks] == [
        (at(12), ["COIN"]),
        (at(14, 30), ["IBM"]),
        (at(21), ["COIN", "IBM"]),
        (at(21) + BAR_WAIT, []),
        (at(0) + timedelta(days=1), ["COIN"]),
        (at(0) + timedelta(days=1) + BAR_WAIT, []),
    ]


@pytest.mark.parametrize(("days_per_second", "seconds"), [(1.0, 1.0), (10.0, 0.1)])
def test_a_day_takes_as_long_as_one_of_three_ticks(days_per_second, seconds):
    rows = [row(at(15) + timedelta(minutes=number), 100 + number) for number in range(98)]
    ticks, now = drain(replay(*rows, days_per_second=days_per_second))
    assert len(ticks) == 100
    assert now - IDLE_SECONDS_WHEN_FINISHED == pytest.approx(seconds, rel=0.02)


def test_its_history_has_the_days_of_both():
    ibm = DayBar("IBM", DAY, *[Decimal(100)] * 4, Decimal(1))
    provider = replay(row(at(12), 5, symbol="COIN"), days=[ibm])
    first, last = DAY, date(2024, 3, 5)
    assert list(provider.history(symbol="IBM", first=first, last=last)) == [ibm]
    (coin,) = provider.history(symbol="COIN", first=first, last=first)
    assert (coin.day, coin.close) == (DAY, 5)
    assert list(provider.history(symbol="IBM", first=last, last=last)) == []


def test_after_a_restart_it_goes_on_behind_the_last_published_moment():
    provider = replay(row(at(15), 1), row(at(16), 2))
    provider.resume(after=at(15))
    ticks, _ = drain(provider)
    assert [tick.at for tick in ticks] == [at(16), at(21), at(21) + BAR_WAIT]
