"""Calendars of any exchange come into a running installation, stay a year ahead, and are followed by the feed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from foundation.errors import InvalidInput
from journal.models import Alert, Entry
from market.core.adjustment import DayBar
from market.core.calendar import TradingDay
from market.core.ticks import QuoteTick, Tick
from market.feed import runner as runner_module
from market.management.commands import load_calendar as load_calendar_command
from market.models import CalendarDay, Exchange, Instrument, Snapshot
from market.selectors import closes_on_common_days
from market.services import calendars, snapshots
from market.services.calendars import CalendarChange, extend_calendars, load_calendar
from market.services.exchange_days import ExchangeDays, NoDaysKnown, UnknownExchange, days_of
from market.services.feed_state import build_snapshot, load_state
from market.services.history import import_bars

from .conftest import OPEN, market_at, moment, runner

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
THURSDAY, TUESDAY = date(2024, 3, 28), date(2024, 4, 2)
"""before Easter and after it; on the Sunday between, the clocks change in London"""


def weekdays(code, *, first, last, without=(), known_until=None):
    """What a library would say: every weekday from 9 to 17 UTC."""
    count = (last - first).days + 1
    days = [first + timedelta(days=number) for number in range(count)]
    sessions = [
        TradingDay(
            day,
            datetime(day.year, day.month, day.day, 9, tzinfo=UTC),
            datetime(day.year, day.month, day.day, 17, tzinfo=UTC),
        )
        for day in days
        if day.weekday() < 5 and day not in without and (known_until is None or day <= known_until)
    ]
    return ExchangeDays(code, "UTC", sessions, known_until or last)


@pytest.fixture(scope="module")
def library():
    """What the real library says, asked before any test's transaction begins: it takes its time."""
    spring = {
        code: days_of(code, first=date(2024, 3, 1), last=date(2024, 7, 5))
        for code in ("XNYS", "XLON", "24/7")
    }
    winter = days_of("XNYS", first=date(2004, 1, 1), last=date(2005, 1, 31))

    def answer(code, *, first, last):
        known = winter if first.year == 2004 else spring[code]
        days = [day for day in known.days if first <= day.day <= last]
        return ExchangeDays(code, known.timezone, days, last)

    return answer


@pytest.fixture
def command(library, db, monkeypatch):
    """The command, with the library's answers."""
    monkeypatch.setattr(load_calendar_command, "load_calendar", partial(load_calendar, days_of=library))
    return partial(call_command, "load_calendar")


def add(symbol, code):
    return Instrument.objects.create(
        symbol=symbol, name=symbol, exchange_id=code, tick_size=Decimal("0.01"), lot_size=1
    )


def hours(code, day):
    return CalendarDay.objects.values_list("opens_at", "closes_at").get(exchange=code, day=day)


def at(day, hour, minute=0):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


class TestLoading:
    def test_the_command_loads_half_days_summer_time_and_an_exchange_that_never_closes(self, command, capsys):
        arguments = ["--exchanges", "XNYS", "XLON", "24/7", "--since", "2024-03-28", "--until", "2024-07-05"]
        command(*arguments)
        assert hours("XLON", THURSDAY) == (at(THURSDAY, 8), at(THURSDAY, 16, 30))
        assert hours("XLON", TUESDAY) == (at(TUESDAY, 7), at(TUESDAY, 15, 30))
        assert not CalendarDay.objects.filter(exchange="XLON", day="2024-03-29").exists()  # Good Friday
        assert hours("XNYS", date(2024, 7, 3))[1] == at(date(2024, 7, 3), 17)  # the eve of the Fourth
        sunday = date(2024, 3, 31)
        assert hours("24/7", sunday) == (at(sunday, 0), at(date(2024, 4, 1), 0))
        assert CalendarDay.objects.filter(exchange="24/7").count() == 100
        assert Exchange.objects.get(code="XLON").timezone == "Europe/London"
        capsys.readouterr()
        command(*arguments)
        assert capsys.readouterr().out.count("0 days added, 0 changed, 0 removed") == 3

    def test_an_unknown_code_is_named(self, library, db):
        with pytest.raises(CommandError, match="no calendar 'XXXX'; use a market identifier code"):
            call_command("load_calendar", "--exchanges", "XXXX")

    def test_a_code_that_is_too_long_for_one_is_named(self, db):
        with pytest.raises(InvalidInput, match="at most 8 characters"):
            load_calendar(code="us_futures", first=THURSDAY, last=TUESDAY, actor=None, days_of=weekdays)

    def test_days_in_the_wrong_order_are_refused(self, db):
        with pytest.raises(InvalidInput, match="give the earlier day first"):
            load_calendar(code="X", first=TUESDAY, last=THURSDAY, actor=None, days_of=weekdays)

    def test_what_has_opened_stays_and_what_is_to_come_follows_the_library(self, instruments):
        """On the seventh a holiday is announced for the ninth, and a half day for the eighth."""
        snapshots.publish(snapshot=market_at(moment(7, OPEN)))

        def announced(code, *, first, last):
            early = at(date(2004, 1, 8), 18)
            days = [TradingDay(date(2004, 1, 8), moment(8, OPEN), early)]
            return ExchangeDays(code, "America/New_York", days, last)

        change = load_calendar(
            code="XNYS", first=date(2004, 1, 5), last=date(2004, 1, 9), actor=None, days_of=announced
        )
        assert change == CalendarChange(added=0, changed=1, removed=1)
        left = CalendarDay.objects.filter(day__lte="2004-01-09").order_by("day")
        assert [row.day.day for row in left] == [5, 6, 7, 8]
        assert hours("XNYS", date(2004, 1, 8)) == (moment(8, OPEN), at(date(2004, 1, 8), 18))
        assert Entry.objects.filter(kind="market.calendar_loaded").count() == 1

    def test_days_of_which_the_library_knows_nothing_yet_stay(self, instruments):
        snapshots.publish(snapshot=market_at(moment(5, OPEN)))

        def short(code, *, first, last):
            return weekdays(code, first=first, last=last, known_until=date(2004, 1, 7))

        change = load_calendar(
            code="XNYS", first=date(2004, 1, 6), last=date(2004, 1, 16), actor=None, days_of=short
        )
        assert (change.removed, CalendarDay.objects.filter(day__gte="2004-01-08").count()) == (0, 7)


class TestExtending:
    def test_a_calendar_is_kept_a_year_ahead_about_once_a_week(self, instruments):
        snapshots.publish(snapshot=market_at(moment(5, OPEN)))
        asked = []

        def library(code, *, first, last):
            asked.append((code, first, last))
            return weekdays(code, first=first, last=last)

        assert [extend_calendars(days_of=library), extend_calendars(days_of=library)] == [1, 0]
        assert asked == [("XNYS", date(2004, 1, 5), date(2005, 1, 4))]
        snapshots.publish(snapshot=market_at(moment(16, OPEN)))
        assert extend_calendars(days_of=library) == 1
        assert CalendarDay.objects.order_by("-day").first().day == date(2005, 1, 14)

    def test_only_exchanges_that_are_traded_are_asked_for(self, instruments):
        Exchange.objects.create(code="XLON", name="London", timezone="Europe/London")
        asked = []

        def library(code, *, first, last):
            asked.append(code)
            return weekdays(code, first=first, last=last)

        extend_calendars(days_of=library)
        assert asked == ["XNYS"]

    def test_one_that_nobody_knows_is_alerted_of_once_a_day_when_it_ends(self, instruments):
        """The calendar of these tests ends on the sixteenth."""

        def library(code, *, first, last):
            raise UnknownExchange("never heard of it")

        snapshots.publish(snapshot=market_at(moment(5, OPEN)))
        assert [extend_calendars(days_of=library), extend_calendars(days_of=library)] == [0, 0]
        assert "XNYS (2004-01-16)" in Alert.objects.get(kind=calendars.ENDING).message

    def test_one_that_has_ended_in_the_library_keeps_no_other_from_being_extended(self, instruments):
        other = Exchange.objects.create(code="XAAA", name="Ended", timezone="UTC")
        Instrument.objects.create(symbol="OLD", name="Old", exchange=other, tick_size="0.01", lot_size=1)

        def library(code, *, first, last):
            if code == "XAAA":
                raise NoDaysKnown("its calendar has ended")
            return weekdays(code, first=first, last=last)

        snapshots.publish(snapshot=market_at(moment(5, OPEN)))
        assert extend_calendars(days_of=library) == 1

    def test_of_days_beyond_what_the_library_can_know_it_says_so(self):
        with pytest.raises(NoDaysKnown, match="XHKG"):
            days_of("XHKG", first=date(2200, 1, 1), last=date(2200, 12, 31))

    def test_one_that_lasts_long_enough_is_not_alerted_of(self, instruments):
        snapshots.publish(snapshot=market_at(moment(5, OPEN)))
        load_calendar(
            code="XNYS", first=date(2004, 1, 19), last=date(2004, 2, 4), actor=None, days_of=weekdays
        )

        def library(code, *, first, last):
            raise UnknownExchange("never heard of it")

        extend_calendars(days_of=library)
        assert not Alert.objects.exists()

    def test_the_real_library_extends_the_shipped_exchanges(self, instruments, library):
        snapshots.publish(snapshot=market_at(moment(9, OPEN)))
        assert extend_calendars(days_of=library) == 1
        assert hours("XNYS", date(2004, 11, 26))[1] == at(date(2004, 11, 26), 18)  # after Thanksgiving
        assert not CalendarDay.objects.filter(day="2004-07-05").exists()


class TestSeveralExchanges:
    @pytest.fixture
    def three(self, command):
        """One symbol in New York, one in London, one that always trades."""
        arguments = ["--exchanges", "XNYS", "XLON", "24/7", "--since", "2024-03-01", "--until", "2024-04-30"]
        command(*arguments)
        return [add("AAPL", "XNYS"), add("COIN", "24/7"), add("VOD", "XLON")]

    @pytest.mark.parametrize(
        ("moment", "is_open"),
        [
            (at(THURSDAY, 7, 59), [False, True, False]),
            (at(THURSDAY, 8), [False, True, True]),
            (at(THURSDAY, 15), [True, True, True]),
            (at(THURSDAY, 20, 1), [False, True, False]),
            (at(date(2024, 3, 29), 15), [False, True, False]),  # Good Friday
            (at(date(2024, 3, 31), 0), [False, True, False]),  # midnight: one day ends, the next begins
            (at(date(2024, 4, 1), 15), [True, True, False]),  # a holiday in London only
            (at(TUESDAY, 7), [False, True, True]),  # an hour earlier in UTC: summer time
            (at(TUESDAY, 16), [True, True, False]),
        ],
    )
    def test_one_snapshot_knows_the_hours_of_each(self, three, moment, is_open):
        market = build_snapshot(load_state(), as_of=moment)
        assert market.symbols == ("AAPL", "COIN", "VOD")
        assert market.is_open.tolist() == is_open
        assert market.closes_at[1] - market.opens_at[1] == 86_400

    def test_returns_compare_the_same_days_although_one_ends_at_midnight(self, three, settings):
        """Each close is its day of March; the coin's bar completes when the next day begins."""
        settings.MARKET_FEED = "none"
        days = [25, 26, 27, 28]
        bars = [
            DayBar(row.symbol, date(2024, 3, number), *[Decimal(number)] * 4, Decimal(1))
            for row in three
            for number in days
        ]
        assert import_bars(bars, actor=None, source="test").stored == 12
        state = load_state()
        closes = closes_on_common_days(
            instrument_ids=[row.pk for row in three], bar_at=state.features.bar_at[1], count=4
        )
        np.testing.assert_array_equal(closes, np.array([days] * 3, dtype=float).T)


def test_a_running_feed_sees_new_days_without_a_restart(instruments, clock, stop, monkeypatch):
    """The calendar ends on the sixteenth; the nineteenth is loaded while the feed runs."""
    monkeypatch.setattr(runner_module, "wake", lambda *args, **kwargs: None)
    open_at = at(date(2004, 1, 19), 12)

    class Ticking:
        name = "ticking"
        finished = False
        count = 0

        def resume(self, *, after):
            """It goes on as it likes."""

        def close(self):
            """There is nothing to let go of."""

        def poll(self, *, monotonic_now):
            if Ticking.count > monotonic_now:
                return None
            Ticking.count += 1
            price = Decimal(100)
            at = open_at + timedelta(seconds=Ticking.count)
            return Tick(at=at, quotes=(QuoteTick("AAPL", price, price, price, price),))

        def idle_seconds(self, *, monotonic_now):
            return 0.5

    def load():
        load_calendar(
            code="XNYS", first=date(2004, 1, 19), last=date(2004, 1, 19), actor=None, days_of=weekdays
        )

    clock.at(3.0, load)
    clock.at(8.0, stop.request)
    runner(clock, stop, build_provider=lambda state: Ticking()).run()
    payloads = Snapshot.objects.order_by("version").values_list("payload", flat=True)
    is_open = [bool(snapshots.decode(bytes(payload)).is_open[0]) for payload in payloads]
    assert (is_open[0], is_open[-1]) == (False, True)
    assert is_open == sorted(is_open)
