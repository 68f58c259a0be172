"""What the feed relies on, of whatever provider: order, resuming, never sleeping, an end that is one."""

import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar, TradingDay
from market.core.ticks import Tick
from market.feed.providers.alpaca import AlpacaProvider, ListedSymbol, Newest
from market.feed.providers.replay import ReplayedInstrument, ReplayProvider
from market.feed.providers.silent import SilentProvider
from market.feed.providers.simulated import SimulatedInstrument, SimulatedProvider
from market.services.bar_files import FileBar

FIRST = date(2024, 3, 4)
NOW = datetime(2026, 1, 1, 15, tzinfo=UTC)
CENT = Decimal("0.01")
DAYS = [FIRST + timedelta(days=number) for number in range(12)]


def at(day, hour, minute=0):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


CALENDARS = {
    "XNYS": ExchangeCalendar(
        timezone="America/New_York",
        days=[TradingDay(day, at(day, 14, 30), at(day, 21)) for day in DAYS if day.weekday() < 5],
    )
}


def bar(day, price):
    price = Decimal(price)
    return DayBar("IBM", day, price, price + 1, price - 1, price, Decimal(10))


@dataclass
class LiveStream:
    """Stands for the socket's thread; something is said before each look."""

    newest: Newest
    failure: Exception | None = None
    is_alive: bool = False
    said: "itertools.count[int]" = field(default_factory=itertools.count)

    def start(self):
        self.is_alive = True

    def close(self):
        self.is_alive = False

    def say(self):
        moment = (NOW + timedelta(seconds=next(self.said))).isoformat().replace("+00:00", "Z")
        price = Decimal(100)
        self.newest.take([{"T": "q", "S": "IBM", "bp": price, "ap": price, "t": moment}])


class NoHistory:
    def history(self, **_):
        return []


def replayed_days():
    return ReplayProvider(
        bars=[bar(day, 100 + day.day) for day in DAYS], instruments=[ReplayedInstrument("IBM", "XNYS", CENT)],
        calendars=CALENDARS, start=FIRST, days_per_second=2.0,
    )  # fmt: skip


def replayed_moments():
    rows = [FileBar(1, bar(day, 100 + hour), at(day, hour)) for day in DAYS for hour in (15, 16, 20)]
    return ReplayProvider(
        bars=[], moments=rows, instruments=[ReplayedInstrument("IBM", "XNYS", CENT)], calendars=CALENDARS,
        start=FIRST, days_per_second=2.0,
    )  # fmt: skip


def simulated():
    return SimulatedProvider(
        instruments=[SimulatedInstrument(name, "XNYS", "", CENT) for name in ("IBM", "AAPL")],
        calendars=CALENDARS, start=FIRST, seed=1, step_seconds=1800, ticks_per_second=4, utcnow=lambda: NOW,
    )  # fmt: skip


def live():
    newest = Newest(["IBM"], utcnow=lambda: NOW + timedelta(hours=1))
    return AlpacaProvider(
        instruments=[ListedSymbol("IBM", "XNYS")], calendars=CALENDARS, stream=LiveStream(newest),
        newest=newest, history=NoHistory(), coalesce_seconds=0.25, idle_tick_seconds=30, utcnow=lambda: NOW,
    )  # fmt: skip


MADE = {"days": replayed_days, "moments": replayed_moments, "simulated": simulated}
ALL = MADE | {"alpaca": live, "none": SilentProvider}
of_all = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
of_those_that_can_be_made_again = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


def look(provider, now):
    if isinstance(provider, AlpacaProvider):
        provider._stream.say()
    return provider.poll(monotonic_now=now)


def drain(provider, seconds=60.0):
    """(when, tick) as the feed would get them, within so many seconds of its clock."""
    ticks, now = [], 0.0
    while now < seconds:
        tick = look(provider, now)
        if tick is not None:
            ticks.append((now, tick))
            continue
        now += max(provider.idle_seconds(monotonic_now=now), 1e-6)
    return ticks


@of_all
def test_market_time_only_moves_forward_and_no_quote_is_ahead_of_its_tick(make):
    provider = make()
    provider.resume(after=None)
    ticks = [tick for _, tick in drain(provider)]
    assert len(ticks) >= 20 or make is SilentProvider
    assert all(earlier.at < later.at for earlier, later in itertools.pairwise(ticks))
    for tick in ticks:
        assert isinstance(tick, Tick) and tick.at.tzinfo is not None
        assert all(quote.at is None or quote.at <= tick.at for quote in tick.quotes)


@of_those_that_can_be_made_again
def test_resumed_anywhere_another_one_says_the_very_rest(make):
    first = make()
    first.resume(after=None)
    ticks = [tick for _, tick in drain(first)]
    for place in range(0, len(ticks) - 1, 3):
        second = make()
        second.resume(after=ticks[place].at)
        assert look(second, 0.0) == ticks[place + 1]
        first.resume(after=ticks[place].at)  # as the feed does after a failure
        assert [tick for _, tick in drain(first)] == ticks[place + 1 :]


@of_those_that_can_be_made_again
def test_resumed_between_two_ticks_it_goes_on_with_the_later_one(make):
    provider = make()
    provider.resume(after=None)
    (_, first), (_, second), *_ = drain(provider)
    provider.resume(after=first.at + (second.at - first.at) / 2)
    assert look(provider, 0.0) == second


def test_a_live_one_that_is_resumed_says_nothing_of_before():
    provider = live()
    provider.resume(after=NOW + timedelta(minutes=5))
    assert min(tick.at for _, tick in drain(provider, 10.0)) >= NOW + timedelta(minutes=5)


@of_all
def test_it_never_sleeps_and_says_how_long_the_feed_may(make, monkeypatch):
    def sleep(seconds):
        raise AssertionError("only the feed sleeps: it has a lease to keep")

    provider = make()
    provider.resume(after=None)
    monkeypatch.setattr(time, "sleep", sleep)
    now = 0.0
    for _ in range(200):
        assert 0 <= provider.idle_seconds(monotonic_now=now) <= 60
        look(provider, now)
        now += 0.1


@of_all
def test_between_two_ticks_it_waits_as_long_as_it_said(make):
    provider = make()
    provider.resume(after=None)
    times = [now for now, _ in drain(provider, 5.0)]
    assert all(later - earlier > 0.01 for earlier, later in itertools.pairwise(times))


@of_all
def test_one_that_has_finished_has_nothing_more_and_only_that_one_says_so(make):
    provider = make()
    provider.resume(after=None)
    drain(provider)
    assert provider.finished == (make in (replayed_days, replayed_moments))
    if provider.finished:
        assert [look(provider, 100.0 + number) for number in range(5)] == [None] * 5


@of_all
def test_it_can_be_closed_at_any_time_and_more_than_once(make):
    provider = make()
    provider.close()
    provider.close()
    assert provider.name in {"replay", "simulated", "alpaca", "none"}
