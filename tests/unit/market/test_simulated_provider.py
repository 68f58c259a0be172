"""The simulated market as the feed sees it: calendars, halts, bars, and a clock that it does not overtake."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.quote_checks import QuoteChecker
from market.feed.providers.base import BAR_WAIT
from market.feed.providers.simulated import WAIT_SECONDS, SimulatedInstrument, SimulatedProvider

MONDAY = date(2024, 3, 4)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
INSTRUMENTS = [
    *(SimulatedInstrument(f"S{number:02}", "XNYS", "Technology", Decimal("0.01")) for number in range(30)),
    SimulatedInstrument("COIN", "24/7", "Money", Decimal("0.0001")),
]


def at(day, hour, minute=0):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def calendars(days=10):
    all_days = [MONDAY + timedelta(days=number) for number in range(days)]
    weekdays = [day for day in all_days if day.weekday() < 5]
    around = [TradingDay(day, at(day, 0), at(day + timedelta(days=1), 0)) for day in all_days]
    return {
        "XNYS": ExchangeCalendar(
            timezone="America/New_York",
            # Tuesday is a half day
            days=[TradingDay(day, at(day, 14, 30), at(day, 18 if day.weekday() == 1 else 21)) for day in weekdays],
        ),
        "24/7": ExchangeCalendar(timezone="UTC", days=around),
    }  # fmt: skip


def simulated(*, now=NOW, instruments=INSTRUMENTS, days=10, **changes):
    options = {"start": MONDAY, "seed": 3, "step_seconds": 900, "ticks_per_second": 4}
    return SimulatedProvider(
        instruments=instruments, calendars=calendars(days), utcnow=lambda: now, **(options | changes)
    )


def drain(provider, count=10_000):
    ticks, now = [], 0.0
    while len(ticks) < count:
        tick = provider.poll(monotonic_now=now)
        if tick is not None:
            ticks.append(tick)
        elif provider.idle_seconds(monotonic_now=now) == WAIT_SECONDS:
            break  # the calendar has ended, or the clock is not further
        now += provider.idle_seconds(monotonic_now=now)
    return ticks


def of(ticks, symbol):
    return [(tick.at, quote) for tick in ticks for quote in tick.quotes if quote.symbol == symbol]


def test_a_symbol_is_quoted_in_its_exchanges_hours_only():
    ticks = drain(simulated())
    times = [moment for moment, _ in of(ticks, "S00")]
    assert times[0] == at(MONDAY, 14, 30) and times[1] == at(MONDAY, 14, 45)
    tuesday = MONDAY + timedelta(days=1)
    assert max(moment for moment in times if moment.date() == tuesday) == at(tuesday, 18)
    assert {moment.weekday() for moment in times} == {0, 1, 2, 3, 4}
    assert {moment.weekday() for moment, _ in of(ticks, "COIN")} == set(range(7))


def test_exchanges_that_trade_at_the_same_moment_share_a_tick():
    (tick,) = [tick for tick in drain(simulated(), 100) if tick.at == at(MONDAY, 15)]
    assert {quote.symbol for quote in tick.quotes} >= {"S00", "COIN"}


def test_where_a_session_follows_at_once_its_close_and_the_next_open_are_one_moment():
    tuesday = at(MONDAY + timedelta(days=1), 0)
    ticks = drain(simulated(), 200)
    (tick,) = [tick for tick in ticks if tick.at == tuesday]
    assert [quote.symbol for quote in tick.quotes] == ["COIN", "COIN"]
    (after,) = [tick for tick in ticks if tick.at == tuesday + BAR_WAIT]
    assert [(bar.symbol, bar.at) for bar in after.bars] == [("COIN", tuesday)]
    assert all(earlier.at < later.at for earlier, later in pairwise(ticks))


def test_bars_are_said_when_it_is_too_late_for_the_close_that_completes_them():
    ticks = drain(simulated())
    assert all(tick.quotes == () for tick in ticks if any(bar.symbol != "COIN" for bar in tick.bars))
    assert {tick.at - bar.at for tick in ticks for bar in tick.bars} == {BAR_WAIT}


def test_a_restart_between_a_close_and_its_bars_loses_none():
    ticks = drain(simulated())
    place = next(number for number, tick in enumerate(ticks) if tick.bars)
    resumed = simulated()
    resumed.resume(after=ticks[place - 1].at)
    assert resumed.poll(monotonic_now=0.0) == ticks[place]


def test_half_an_hour_around_sessions_time_goes_on_without_a_quote():
    only = [row for row in INSTRUMENTS if row.exchange == "XNYS"]
    ticks = drain(simulated(instruments=only), 60)
    empty = [tick.at for tick in ticks if not tick.quotes and not tick.bars]
    assert empty[:3] == [at(MONDAY, 14), at(MONDAY, 21, 30), at(MONDAY + timedelta(days=1), 14)]


def test_the_bar_of_a_day_is_what_was_quoted_in_it():
    ticks = [tick for tick in drain(simulated(), 120) if tick.at <= at(MONDAY, 21) + BAR_WAIT]
    bars = {bar.symbol: bar for bar in ticks[-1].bars}
    assert len(bars) == 30
    for symbol, bar in bars.items():
        said = [quote.last for _, quote in of(ticks, symbol)]
        assert (bar.open, bar.high, bar.low, bar.close) == (said[0], max(said), min(said), said[-1])
        assert bar.volume == of(ticks, symbol)[-1][1].volume > 0


def test_history_is_what_the_feed_has_said():
    tuesday = MONDAY + timedelta(days=1)
    said = [bar for tick in drain(simulated()) for bar in tick.bars if bar.symbol == "S07"]
    bars = simulated().history(symbol="S07", first=MONDAY, last=tuesday)
    assert [bar.day for bar in bars] == [MONDAY, tuesday]
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == [
        (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in said[:2]
    ]
    assert simulated().history(symbol="NONE", first=MONDAY, last=tuesday) == []


def test_a_halted_symbol_is_not_quoted_and_those_who_resume_know_it():
    only = [row for row in INSTRUMENTS if row.exchange == "XNYS"]
    ticks = drain(simulated(instruments=only, days=60, step_seconds=60))
    halted = [place for place, tick in enumerate(ticks) if tick.halted]
    assert halted, "60 days of 30 symbols have halts"
    assert all(tick.halted.isdisjoint(quote.symbol for quote in tick.quotes) for tick in ticks)
    place = halted[0]
    resumed = simulated(instruments=only, days=60, step_seconds=60)
    resumed.resume(after=ticks[place].at)
    assert resumed.poll(monotonic_now=0.0) == ticks[place + 1]


def test_market_time_never_overtakes_the_clock():
    ticks = drain(simulated(now=at(MONDAY, 16, 7)))
    assert ticks[-1].at == at(MONDAY, 16)


def test_everything_that_it_says_is_believed():
    checker = QuoteChecker(
        symbols=[row.symbol for row in INSTRUMENTS], jump_percentage=Decimal(30), confirmations=2, splits={},
        as_of=None,
    )  # fmt: skip
    ticks = drain(simulated())
    assert len(ticks) > 900
    assert not [item for tick in ticks for item in checker.sift(tick, received_at=NOW).rejected]


@pytest.mark.parametrize("price", [0.02, 5_000.0])
def test_bid_and_ask_are_whole_ticks_around_the_last_price(price):
    only = [SimulatedInstrument("P", "XNYS", "", Decimal("0.01"), base_price=price)]
    for _, quote in of(drain(simulated(instruments=only)), "P"):
        assert 0 < quote.bid < quote.last < quote.ask
        assert {part % Decimal("0.01") for part in (quote.bid, quote.last, quote.ask)} == {0}
