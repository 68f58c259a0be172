"""A feed of MARKET_FEED=simulated: symbols of its own, and a restart that nobody could tell from none."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from foundation import wakeups
from market.core.adjustment import DayBar
from market.feed import runner as runner_module
from market.feed.providers import history_source
from market.feed.runner import StopFlag
from market.models import Bar, Instrument, QuarantinedQuote, Quote, Snapshot
from market.services import snapshots
from market.services.history import import_bars
from market.services.load import load_sample_market

from .conftest import runner, times

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def simulated(settings, monkeypatch):
    monkeypatch.setattr(wakeups, "wake", lambda *args, **kwargs: None)
    monkeypatch.setattr(runner_module, "wake", lambda *args, **kwargs: None)
    settings.MARKET_FEED, settings.SIM_START = "simulated", "2004-01-05"
    settings.SIM_SYMBOLS, settings.SIM_STEP_SECONDS = 7, 1800
    load_sample_market()


def run(clock, ticks):
    runner(clock, StopFlag(), ticks_max=ticks).run()


def published():
    """What each snapshot says, the times of the clock left out."""
    return [
        (row.as_of, [snapshots.at_version(row.version).price(symbol) for symbol in ("AAPL", "SIM003")])
        for row in Snapshot.objects.order_by("version")
    ]


def test_it_has_symbols_of_its_own_beside_the_sample():
    assert Instrument.objects.filter(tags__contains=["simulated"]).count() == 7
    load_sample_market()
    assert Instrument.objects.filter(symbol__startswith="SIM").count() == 7
    assert Bar.objects.latest("at").at.date() < date(2004, 1, 5)


def test_a_restart_in_the_middle_of_a_day_cannot_be_told_from_none(clock):
    run(clock, 22)
    at_once = published()
    Snapshot.objects.all().delete()
    Quote.objects.all().delete()
    Bar.objects.filter(at__gte=datetime(2004, 1, 5, tzinfo=UTC)).delete()
    snapshots._cache.clear()
    for ticks in (5, 1, 9, 7):
        run(clock, ticks)
    assert published() == at_once
    assert not QuarantinedQuote.objects.exists()


def test_it_goes_on_where_the_history_ends(clock):
    last = Bar.objects.filter(instrument__symbol="AAPL").latest("at").close
    run(clock, 2)
    assert float(snapshots.current().price("AAPL")) == pytest.approx(float(last), rel=0.1)


def test_a_day_that_is_missing_comes_in_by_the_history(clock):
    run(clock, 17)
    bar = Bar.objects.get(instrument__symbol="SIM001")
    (said,) = history_source().history(symbol="SIM001", first=date(2004, 1, 5), last=date(2004, 1, 5))
    assert (said.open, said.high, said.low, said.close, said.volume) == (
        bar.open, bar.high, bar.low, bar.close, bar.volume,
    )  # fmt: skip
    assert times()[-1] == datetime(2004, 1, 5, 21, 30, tzinfo=UTC)


def test_a_start_that_is_no_date_is_named(clock, settings):
    settings.SIM_START = "soon"
    with pytest.raises(ImproperlyConfigured, match="SIM_START must be a date like 2004-01-02, got 'soon'"):
        run(clock, 1)


def test_before_it_begins_no_day_of_the_simulation_is_imported():
    price = Decimal(50)
    bars = [
        DayBar("SIM001", date(2004, 1, day), price, price, price, price, Decimal(1)) for day in (2, 5)
    ]  # fmt: skip
    result = import_bars(bars, actor=None, source="test")
    assert (result.stored, [row.place for row in result.refused]) == (1, [1])
