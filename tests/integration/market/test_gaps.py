"""Days without a bar are found by the calendars, asked for, and told of when they stay."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from foundation.clock import database_now
from journal.models import Alert, Entry
from market import selectors, tasks
from market.core.adjustment import DayBar
from market.core.ticks import BarTick, QuoteTick, Tick
from market.feed.providers import history_source
from market.models import Bar, CalendarDay, Exchange, Instrument, MarketGap
from market.services import gaps, snapshots
from market.services.feed_state import load_state
from market.services.ingest import apply_tick

from .conftest import OPEN, market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]
WEEK = (5, 6, 7, 8, 9)


def day(number):
    return date(2004, 1, number)


def bar_of(number, symbol="AAPL"):
    price = Decimal(100 + number)
    return DayBar(symbol, day(number), price, price + 1, price - 1, price, Decimal(1000 + number))


class History:
    """What the provider says of the past: every weekday, of whatever symbol; `questions` are kept."""

    def __init__(self, *, without=(), error=None):
        self.questions, self._without, self._error = [], without, error

    def history(self, *, symbol, first, last):
        self.questions.append((symbol, first.day, last.day))
        if self._error:
            raise self._error
        # More than was asked for, as some do.
        return [bar_of(number, symbol) for number in (*WEEK, 12, 13) if number not in self._without]


def live_through(state, lease, days, *, symbols=("AAPL", "IBM")):
    for number in days:
        bars = [bar_of(number, symbol) for symbol in symbols]
        tick = Tick(
            at=moment(number),
            quotes=tuple(QuoteTick(b.symbol, b.close, b.close, b.close, b.volume) for b in bars),
            bars=tuple(BarTick(b.symbol, b.open, b.high, b.low, b.close, b.volume) for b in bars),
        )
        apply_tick(state=state, tick=tick, lease=lease, lease_seconds=60)


def noon_of(number):
    """Later on a day, so that the closes before it count."""
    snapshots.publish(snapshot=market_at(moment(number, OPEN)))


def open_gaps():
    rows = MarketGap.objects.filter(filled_at=None).order_by("instrument__symbol", "first_day")
    return [(row.instrument.symbol, row.first_day.day, row.last_day.day) for row in rows]


def due_again():
    MarketGap.objects.update(next_try_at=database_now())


class TestFinding:
    def test_a_market_without_a_gap_has_none(self, lease):
        live_through(load_state(), lease, WEEK)
        noon_of(12)
        assert (gaps.find_gaps(), open_gaps()) == (0, [])

    def test_days_that_follow_each_other_are_one_gap_and_a_weekend_lies_between_them(self, lease):
        live_through(load_state(), lease, (5, 7))
        live_through(load_state(), lease, (14,))
        assert gaps.find_gaps() == 4
        assert open_gaps() == [("AAPL", 6, 6), ("AAPL", 8, 13), ("IBM", 6, 6), ("IBM", 8, 13)]
        assert Entry.objects.get(kind="market.gap_found").payload.count("AAPL") == 2

    def test_it_is_found_once(self, lease):
        live_through(load_state(), lease, (5, 7))
        noon_of(8)
        assert [gaps.find_gaps(), gaps.find_gaps()] == [2, 0]
        noon_of(9)
        assert gaps.find_gaps() == 2  # the eighth is over by now
        assert open_gaps()[:2] == [("AAPL", 6, 6), ("AAPL", 8, 8)]

    def test_nothing_is_missed_before_the_first_bar_nor_today(self, lease):
        live_through(load_state(), lease, (7,))
        noon_of(8)
        assert gaps.find_gaps() == 0

    def test_a_bar_is_not_missed_within_minutes_of_the_close(self, lease):
        live_through(load_state(), lease, (5,))
        snapshots.publish(snapshot=market_at(moment(6) + timedelta(minutes=14)))
        assert gaps.find_gaps() == 0
        snapshots.publish(snapshot=market_at(moment(6) + timedelta(minutes=15)))
        assert gaps.find_gaps() == 2

    def test_a_bar_that_completed_late_is_no_gap(self, lease, instruments):
        live_through(load_state(), lease, (5,))
        for instrument in instruments:
            late = moment(6) + timedelta(hours=1)
            Bar.objects.create(instrument=instrument, at=late, open=1, high=1, low=1, close=1, volume=1)
        noon_of(7)
        assert gaps.find_gaps() == 0

    def test_an_instrument_that_is_not_carried_has_none(self, lease):
        live_through(load_state(), lease, (5, 7))
        Instrument.objects.filter(symbol="AAPL").update(is_active=False)
        gaps.find_gaps()
        assert open_gaps() == [("IBM", 6, 6)]

    def test_before_the_first_snapshot_there_is_nothing_to_find(self):
        assert gaps.find_gaps() == 0

    def test_an_exchange_that_never_closes_misses_a_sunday(self, lease):
        exchange = Exchange.objects.create(code="24/7", name="24/7", timezone="UTC")
        coin = Instrument.objects.create(
            symbol="COIN", name="COIN", exchange=exchange, tick_size=Decimal("0.01"), lot_size=1
        )
        midnight = datetime.combine(day(9), datetime.min.time(), tzinfo=moment(5).tzinfo)
        for number in range(5):
            opens_at = midnight + timedelta(days=number)
            CalendarDay.objects.create(
                exchange=exchange,
                day=opens_at.date(),
                opens_at=opens_at,
                closes_at=opens_at + timedelta(days=1),
            )
            if number != 2:
                Bar.objects.create(
                    instrument=coin, at=opens_at + timedelta(days=1), open=1, high=1, low=1, close=1, volume=1
                )
        noon_of(13)
        gaps.find_gaps()
        assert open_gaps() == [("COIN", 11, 11)]


class TestFilling:
    @pytest.fixture
    def with_gap(self, lease):
        """The feed was away on the seventh."""
        live_through(load_state(), lease, (5, 6))
        live_through(load_state(), lease, (8, 9))
        noon_of(12)
        gaps.find_gaps()
        assert open_gaps() == [("AAPL", 7, 7), ("IBM", 7, 7)]

    def test_the_provider_is_asked_for_just_these_days(self, with_gap):
        history = History()
        assert gaps.backfill(history=history) == 2
        assert history.questions == [("AAPL", 7, 7), ("IBM", 7, 7)]
        assert open_gaps() == []
        stored = Bar.objects.get(instrument__symbol="IBM", at=moment(7))
        assert (stored.close, stored.volume) == (107, 1007)
        assert Bar.objects.count() == 2 * 5  # the future that the provider told, too, is not stored
        assert Entry.objects.filter(kind="market.gap_filled").count() == 2
        assert gaps.backfill(history=history) == 0

    def test_afterwards_the_market_is_as_if_nothing_had_been_missed(self, with_gap, lease):
        gaps.backfill(history=History())
        filled = load_state()
        Bar.objects.all().delete()
        for symbol in ("AAPL", "IBM"):
            for number in WEEK:
                bar = bar_of(number, symbol)
                Bar.objects.create(
                    instrument=Instrument.objects.get(symbol=symbol), at=moment(number), open=bar.open,
                    high=bar.high, low=bar.low, close=bar.close, volume=bar.volume,
                )  # fmt: skip
        unbroken = load_state()
        np.testing.assert_array_equal(filled.features.completed(), unbroken.features.completed())
        np.testing.assert_array_equal(filled.features.bar_at, unbroken.features.bar_at)

    def test_a_running_feed_notices(self, with_gap):
        state = load_state()
        assert not state.is_outdated()
        gaps.backfill(history=History())
        assert state.is_outdated()

    def test_who_imports_the_bars_fills_it_too(self, with_gap, instruments):
        for instrument in instruments:
            Bar.objects.create(instrument=instrument, at=moment(7), open=1, high=1, low=1, close=1, volume=1)
        assert (gaps.settle_gaps(), open_gaps()) == (2, [])

    @pytest.mark.parametrize(
        ("history", "words"),
        [
            (History(error=OSError("away")), "the provider failed: OSError('away')"),
            (History(without=(7,)), "the provider has no bar of these days"),
            (None, gaps.NO_HISTORY),
        ],
        ids=["fails", "has none", "no history at all"],
    )
    def test_what_stands_in_the_way_is_kept_and_it_is_asked_ever_more_seldom(self, with_gap, history, words):
        waits = []
        for number in range(1, 4):
            assert gaps.backfill(history=history) == 0
            gap = MarketGap.objects.get(instrument__symbol="AAPL")
            assert (gap.tries, gap.last_error) == (number, words)
            waits.append((gap.next_try_at - database_now()).total_seconds())
            gaps.backfill(history=history)
            assert MarketGap.objects.get(pk=gap.pk).tries == number  # not yet due
            due_again()
        assert waits == pytest.approx([60, 120, 240], abs=20)
        MarketGap.objects.update(tries=40)
        gaps.backfill(history=history)
        gap = MarketGap.objects.get(instrument__symbol="AAPL")
        assert gap.next_try_at - database_now() < timedelta(days=1)

    def test_one_failure_does_not_keep_the_others_waiting(self, with_gap):
        class Moody(History):
            def history(self, *, symbol, first, last):
                if symbol == "AAPL":
                    raise LookupError("not this one")
                return super().history(symbol=symbol, first=first, last=last)

        assert gaps.backfill(history=Moody()) == 1
        assert open_gaps() == [("AAPL", 7, 7)]

    def test_a_bar_that_cannot_be_true_fills_nothing(self, with_gap):
        class Wrong(History):
            def history(self, *, symbol, first, last):
                return [DayBar(symbol, day(7), *[Decimal(-1)] * 4, Decimal(1))]

        gaps.backfill(history=Wrong())
        assert MarketGap.objects.first().last_error == "the provider's bar was refused: open is -1"
        assert Bar.objects.count() == 2 * 4

    def test_a_part_is_taken_and_the_rest_stays_open(self, lease):
        live_through(load_state(), lease, (5,))
        live_through(load_state(), lease, (9,))
        gaps.find_gaps()
        gaps.backfill(history=History(without=(7,)))
        assert open_gaps() == [("AAPL", 6, 8), ("IBM", 6, 8)]
        assert Bar.objects.filter(instrument__symbol="AAPL").count() == 4
        due_again()
        gaps.backfill(history=History())
        assert open_gaps() == []

    def test_its_budget_of_time_bounds_it(self, with_gap):
        history = History()
        assert gaps.backfill(history=history, budget_seconds=0) == 0
        assert history.questions == []

    def test_a_crash_that_the_checks_refused_comes_in_by_the_history(self, lease):
        state = load_state()
        live_through(state, lease, (5,))
        crash = BarTick("AAPL", Decimal(105), Decimal(106), Decimal(40), Decimal(45), Decimal(9))
        apply_tick(
            state=state, tick=Tick(at=moment(6), quotes=(), bars=(crash,)), lease=lease, lease_seconds=60
        )
        live_through(state, lease, (7,), symbols=("IBM",))
        gaps.find_gaps()

        class Crash(History):
            def history(self, *, symbol, first, last):
                return [DayBar(symbol, day(6), crash.open, crash.high, crash.low, crash.close, crash.volume)]

        gaps.backfill(history=Crash())
        assert not Bar.objects.filter(instrument__symbol="AAPL", at=moment(6)).exists()  # nobody knows yet
        for minute in range(3):  # but the next day it is quoted there, and that is believed
            at = moment(8, OPEN) + timedelta(minutes=minute)
            price = Decimal(44 + minute)
            said = QuoteTick("AAPL", price, price, price, Decimal(1))
            apply_tick(state=state, tick=Tick(at=at, quotes=(said,)), lease=lease, lease_seconds=60)
        due_again()
        gaps.backfill(history=Crash())
        assert Bar.objects.get(instrument__symbol="AAPL", at=moment(6)).close == 45


@pytest.fixture(scope="module")
def replays_history():
    """The replay's own, read before any test's transaction begins: it takes its time."""
    source = history_source()
    assert source.history(symbol="IBM", first=day(6), last=day(6))
    return source


class TestTelling:
    def test_a_gap_that_stays_for_a_day_is_alerted_of_once(self, lease):
        live_through(load_state(), lease, (5, 7))
        noon_of(8)
        gaps.find_gaps()
        gaps.backfill(history=None)
        assert gaps.alert_of_old_gaps() == 0
        MarketGap.objects.update(found_at=database_now() - timedelta(days=1, minutes=1))
        assert [gaps.alert_of_old_gaps(), gaps.alert_of_old_gaps()] == [2, 0]
        message = Alert.objects.get(kind="market.gap_stays_open").message
        assert "AAPL 2004-01-06 to 2004-01-06" in message and gaps.NO_HISTORY in message

    def test_the_task_finds_fills_and_the_replays_own_history_answers(self, replays_history, monkeypatch):
        """IBM's real bar of the sixth: the replay knows its past without a running feed."""
        ibm = Instrument.objects.get(symbol="IBM")
        for number in (5, 7):
            Bar.objects.create(
                instrument=ibm, at=moment(number), open=60, high=70, low=50, close=60, volume=1
            )
        noon_of(8)
        monkeypatch.setattr(tasks, "history_source", lambda: replays_history)
        tasks.backfill_gaps()
        assert selectors.open_gaps() == 0
        assert 50 < Bar.objects.get(instrument=ibm, at=moment(6)).close < 100


class TestWhatWasRefusedOnce:
    """A provider that repeats a wrong bar is not believed because it is asked for it."""

    def backfilled(self, lease, price):
        live_through(load_state(), lease, (5, 7))
        gaps.find_gaps()
        history = History()
        numbers = [Decimal(price)] * 4
        history.history = lambda *, symbol, first, last: [DayBar(symbol, day(6), *numbers, Decimal(1))]
        due_again()
        gaps.backfill(history=history)
        return MarketGap.objects.filter(first_day=day(6))

    def test_a_bar_that_nothing_around_it_leads_to_is_not_imported(self, lease):
        found = self.backfilled(lease, "1060")
        assert {(gap.filled_at, gap.tries) for gap in found} == {(None, 1)}
        assert "2004-01-06 is more than 30 % from what is known around it" in found[0].last_error
        assert not Bar.objects.filter(close=1060).exists()

    def test_one_that_fits_is(self, lease):
        assert all(gap.filled_at is not None for gap in self.backfilled(lease, "106"))
