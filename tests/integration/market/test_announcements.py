"""Splits and dividends are asked for before they count, and recorded once; people are told of what cannot be."""

from datetime import date
from decimal import Decimal

import pytest

from foundation.fetching import FetchFailed
from journal.models import Alert
from market.feed.providers import announcement_source
from market.feed.providers.alpaca import AlpacaAnnouncements, DataKeys
from market.feed.providers.alpaca.pages import HistoryUnreadable
from market.models import CorporateAction
from market.services import snapshots
from market.services.announcements import record_announced
from market.services.corporate_actions import withdraw
from trading.services.schedule import SWEEPS

from .conftest import OPEN, market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
KEYS = DataKeys("PKDATA", "the-secret-of-the-data")
SPLIT = {
    "symbol": "AAPL",
    "new_rate": 4,
    "old_rate": 1,
    "ex_date": "2004-01-09",
    "process_date": "2004-01-09",
}
BACK = {
    "symbol": "IBM",
    "new_rate": 1,
    "old_rate": 10,
    "ex_date": "2004-01-12",
    "process_date": "2004-01-12",
}
CASH = {
    "id": "11cfd108-292e-4cc6-bfbf-5999cdbc4029",
    "symbol": "IBM",
    "rate": 0.25,
    "special": False,
    "foreign": False,
    "ex_date": "2004-01-13",
    "process_date": "2004-01-28",
}


@pytest.fixture
def source(instruments, market_data):
    """The market's time is Wednesday the 7th; somebody who speaks Alpaca's corporate actions."""
    snapshots.publish(snapshot=market_at(moment(7)))
    return AlpacaAnnouncements(base_url=market_data.base_url, keys=KEYS)


def saying(market_data, **actions):
    market_data.do("actions", actions=actions)


def recorded():
    rows = CorporateAction.objects.order_by("ex_at").select_related("instrument")
    return [
        (row.instrument.symbol, row.kind, row.ex_at, row.amount, row.new_units, row.old_units) for row in rows
    ]


def test_what_is_announced_is_recorded_once_from_the_open_of_its_day(source, market_data):
    saying(market_data, forward_splits=[SPLIT], reverse_splits=[BACK], cash_dividends=[CASH])
    assert record_announced(source) == 3
    assert recorded() == [
        ("AAPL", "split", moment(9, OPEN), None, 4, 1),
        ("IBM", "split", moment(12, OPEN), None, 1, 10),
        ("IBM", "dividend", moment(13, OPEN), Decimal("0.25"), None, None),
    ]
    assert market_data.state()["pages"] == 3, "page by page"
    assert record_announced(source) == 0
    assert not Alert.objects.exists()


def test_other_symbols_and_days_are_nobodys_business(source, market_data):
    saying(market_data, forward_splits=[SPLIT | {"symbol": "MSFT"}, SPLIT | {"ex_date": "2003-12-01"}])
    assert record_announced(source) == 0


def test_a_ratio_of_fractions_is_one_of_whole_units(source, market_data):
    saying(market_data, forward_splits=[SPLIT | {"new_rate": 1.5, "old_rate": 1}])
    record_announced(source)
    assert recorded()[0][-2:] == (3, 2)


def test_what_people_have_withdrawn_stays_so(source, market_data):
    saying(market_data, forward_splits=[SPLIT])
    record_announced(source)
    withdraw(action_id=CorporateAction.objects.get().id, actor=None, reason="it was called off")
    assert record_announced(source) == 0
    assert not Alert.objects.exists()


def test_what_cannot_be_recorded_is_told_once_and_keeps_nothing_else_out(source, market_data):
    on_a_saturday = SPLIT | {"ex_date": "2004-01-10"}
    saying(market_data, forward_splits=[on_a_saturday, SPLIT], cash_dividends=[CASH])
    for _ in range(2):
        record_announced(source)
    assert len(recorded()) == 2
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity) == ("corporate_action.unrecorded", "critical")
    assert "AAPL" in alert.message and "4:1" in alert.message and "2004-01-10" in alert.message


@pytest.mark.parametrize(
    "row",
    [
        SPLIT | {"new_rate": 0},
        SPLIT | {"old_rate": "one"},
        SPLIT | {"ex_date": "tomorrow"},
        SPLIT | {"symbol": None},
    ],
)
def test_an_answer_that_is_none_is_refused_as_a_whole_and_told_once_a_day(source, market_data, row):
    saying(market_data, forward_splits=[SPLIT, row])
    with pytest.raises(HistoryUnreadable):
        source.announced(symbols=["AAPL"], first=date(2004, 1, 5), last=date(2004, 1, 30))
    for _ in range(2):
        assert record_announced(source) == 0
    assert recorded() == []
    assert "by hand" in Alert.objects.get(kind="corporate_action.source_failed").message
    snapshots.publish(snapshot=market_at(moment(8)))
    record_announced(source)
    assert Alert.objects.count() == 2


def test_somebody_who_cannot_be_reached_is_told_of_too(source, market_data):
    market_data.kill()
    with pytest.raises(FetchFailed):
        source.announced(symbols=["AAPL"], first=date(2004, 1, 5), last=date(2004, 1, 30))
    assert record_announced(source) == 0
    assert Alert.objects.get().kind == "corporate_action.source_failed"


def test_only_a_provider_that_knows_of_them_is_asked_and_by_the_hour(settings):
    settings.MARKET_FEED = "replay"
    assert announcement_source() is None
    settings.MARKET_FEED = "alpaca"
    assert isinstance(announcement_source(), AlpacaAnnouncements)
    assert {sweep.task: sweep.seconds for sweep in SWEEPS}["market.tasks.record_announced"] == 3600


def test_before_the_market_has_a_time_nobody_is_asked():
    class Loud:
        def announced(self, **_):
            raise AssertionError("asked")

    assert record_announced(Loud()) == 0
