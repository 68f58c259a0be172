"""Loading the sample market: quick, repeatable, and silent about the future."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from market.models import Bar, CalendarDay, Instrument
from market.services import snapshots
from market.services.load import LoadResult, load_sample_market

from .conftest import market_at

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def start(settings):
    settings.REPLAY_START = "2000-06-23"


def test_it_loads_once_and_finds_everything_there_the_second_time(capsys):
    first = load_sample_market()
    assert (first.exchanges, first.instruments) == (2, 5)
    assert first.calendar_days == CalendarDay.objects.count() > 6_900
    assert first.bars == Bar.objects.count() == 3 * 80
    assert load_sample_market() == LoadResult(0, 0, 0, 0)
    call_command("load_market_data")
    assert "0 bars added" in capsys.readouterr().out


def test_only_history_before_the_replay_is_loaded():
    load_sample_market()
    newest = Bar.objects.order_by("-at").first()
    assert newest.at == datetime(2000, 6, 22, 20, 0, tzinfo=UTC)
    assert not Bar.objects.filter(instrument__symbol="GOOG").exists()


def test_the_history_is_split_adjusted():
    load_sample_market()
    closes = dict(
        Bar.objects.filter(instrument__symbol="AAPL", at__date__gte="2000-06-20").values_list(
            "at__date", "close"
        )
    )
    ordered = [closes[day] for day in sorted(closes)]
    assert all(
        abs(later / earlier - 1) < Decimal("0.12")
        for earlier, later in itertools.pairwise(ordered)  # the split was on 2000-06-21
    )


def test_what_somebody_changed_stays_changed():
    load_sample_market()
    Instrument.objects.filter(symbol="FB").update(is_active=False, tick_size=Decimal("0.01"))
    load_sample_market()
    facebook = Instrument.objects.get(symbol="FB")
    assert (facebook.is_active, facebook.tick_size) == (False, Decimal("0.01"))


def test_a_market_that_runs_is_not_shown_its_future_when_the_start_was_moved(settings):
    load_sample_market()
    snapshots.publish(snapshot=market_at(datetime(2000, 6, 26, 20, 0, tzinfo=UTC)))
    settings.REPLAY_START = "2001-01-01"
    assert load_sample_market().bars == 3 * 2  # 23 and 26 June
    assert Bar.objects.order_by("-at").first().at == datetime(2000, 6, 26, 20, 0, tzinfo=UTC)


def test_a_start_that_is_no_date_is_named(settings):
    settings.REPLAY_START = "tomorrow"
    with pytest.raises(ImproperlyConfigured, match="REPLAY_START"):
        load_sample_market()
