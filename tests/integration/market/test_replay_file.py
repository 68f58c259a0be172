"""Any file of bars is replayed like the sample; one that cannot be is named at the start."""

import os
from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from foundation import wakeups
from market.feed import runner as runner_module
from market.feed.providers import bars as bars_module
from market.feed.providers import build, history_source
from market.feed.providers.base import BAR_WAIT
from market.models import Bar, CalendarDay, Exchange, Instrument
from market.services import snapshots
from market.services.feed_state import load_state

from .conftest import OPEN, moment, runner, times

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]
ROWS = (
    "ticker,when,open,high,low,last,volume\n"
    "AAPL,2004-01-05,100,103,99,102,1000\n"
    "IBM,2004-01-05,50,51,49,50,500\n"
    "AAPL,2004-01-06T17:00:00Z,101,104,101,104,10\n"
)


@pytest.fixture
def file(tmp_path, settings):
    bars_module._of_file.cache_clear()
    path = tmp_path / "bars.csv"
    path.write_text(ROWS)
    settings.REPLAY_FILE = str(path)
    settings.REPLAY_COLUMNS = {"day": "when", "close": "last"}
    settings.REPLAY_START = "2004-01-05"
    return path


def test_the_feed_plays_it_to_its_end(file, clock, stop, monkeypatch):
    monkeypatch.setattr(wakeups, "wake", lambda *args, **kwargs: None)
    monkeypatch.setattr(runner_module, "wake", lambda *args, **kwargs: None)
    clock.at(20.0, stop.request)
    runner(clock, stop).run()
    assert times() == [
        moment(5, OPEN), moment(5), moment(5) + BAR_WAIT,
        moment(6, OPEN.replace(hour=17, minute=0)), moment(6), moment(6) + BAR_WAIT,
    ]  # fmt: skip
    assert snapshots.current().price("AAPL") == 104
    closes = Bar.objects.filter(instrument__symbol="AAPL").order_by("at").values_list("close", flat=True)
    assert list(closes) == [102, 104]


def test_its_past_is_asked_without_a_feed(file):
    (bar,) = history_source().history(symbol="IBM", first=moment(5).date(), last=moment(9).date())
    assert bar.close == 50


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(file):
    first = bars_module.replayed_bars()
    assert bars_module.replayed_bars() is first
    file.write_text(ROWS.replace("IBM,2004-01-05,50", "IBM,2004-01-05,49.5"))
    os.utime(file, ns=(1, 1))
    assert bars_module.replayed_bars().days[1].open == pytest.approx(49.5)


def test_symbols_that_are_no_instruments_are_named(file):
    file.write_text(ROWS + "ZZZ,2004-01-05,1,1,1,1,1\nYYY,2004-01-06T17:00:00Z,1,1,1,1,1\n")
    with pytest.raises(ImproperlyConfigured, match=r"no instruments: YYY, ZZZ\. Add them by"):
        build(state=load_state())


def test_a_file_that_cannot_be_read_is_named(file, settings):
    file.write_text(ROWS + "AAPL,2004-01-07,x,1,1,1,1\n")
    with pytest.raises(
        ImproperlyConfigured, match=r"REPLAY_FILE cannot be replayed: .*line 5: open is no number"
    ):
        build(state=load_state())
    settings.REPLAY_FILE = "/nowhere/bars.csv"
    with pytest.raises(ImproperlyConfigured, match=r"REPLAY_FILE cannot be replayed: .*No such file"):
        build(state=load_state())


def test_one_that_is_too_long_to_be_kept_is_named(file, monkeypatch):
    monkeypatch.setattr(bars_module, "ROWS_MAX", 2)
    with pytest.raises(ImproperlyConfigured, match="more than 2 rows"):
        build(state=load_state())


def test_where_nothing_closes_midnight_is_the_last_moment_of_a_day(file):
    """And of a symbol that has no other times it is how a whole day is written."""
    always = Exchange.objects.create(code="24/7", name="Around the clock", timezone="UTC")
    for number in (5, 6):
        begins = moment(number, time.min)
        CalendarDay.objects.create(
            exchange=always, day=begins.date(), opens_at=begins, closes_at=begins + timedelta(days=1)
        )
    Instrument.objects.create(
        symbol="COIN", name="COIN", exchange=always, tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )
    file.write_text(
        "ticker,when,open,high,low,last,volume\n"
        "COIN,2004-01-05T12:00:00Z,10,11,9,10,1\n"
        "COIN,2004-01-06T00:00:00Z,10,14,10,13,2\n"
        "COIN,2004-01-06T12:00:00Z,13,13,12,12,1\n"
        "COIN,2004-01-07T00:00:00Z,12,15,12,15,2\n"
        "IBM,2004-01-05T00:00:00Z,50,51,49,50,500\n"
    )
    read = bars_module.replayed_bars()
    assert [bar.symbol for bar in read.days] == ["IBM"]
    assert [row.at for row in read.moments if row.at.time() == time.min] == [
        moment(6, time.min), moment(7, time.min),
    ]  # fmt: skip
    days = build(state=load_state()).history(symbol="COIN", first=date(2004, 1, 5), last=date(2004, 1, 9))
    assert [(bar.day.day, bar.high, bar.close, bar.volume) for bar in days] == [
        (5, 14, 13, 3),
        (6, 15, 15, 3),
    ]
