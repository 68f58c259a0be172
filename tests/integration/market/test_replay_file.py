"""Any file of bars is replayed like the sample; one that cannot be is named at the start."""

import os

import pytest
from django.core.exceptions import ImproperlyConfigured

from foundation import wakeups
from market.feed import runner as runner_module
from market.feed.providers import bars as bars_module
from market.feed.providers import build, history_source
from market.feed.providers.base import BAR_WAIT
from market.models import Bar
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
