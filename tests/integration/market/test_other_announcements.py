"""What is announced besides splits and cash dividends moves prices, too: it is a split, or people are told of it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from journal.models import Alert
from market.feed.providers.alpaca import AlpacaAnnouncements
from market.models import CorporateAction
from market.services import snapshots
from market.services.announcements import record_announced

from .conftest import OPEN, market_at, moment
from .test_announcements import CASH, KEYS, SPLIT, recorded, saying

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
STOCK = {"symbol": "AAPL", "rate": 0.05, "ex_date": "2004-01-12", "process_date": "2004-01-12"}
DAYS = {"ex_date": "2004-01-09", "process_date": "2004-01-09"}
EFFECTIVE = {"effective_date": "2004-01-09", "process_date": "2004-01-09"}
SPIN_OFF = {"source_symbol": "IBM", "source_rate": 19.35, "new_symbol": "SRM", "new_rate": 1} | DAYS
UNIT_SPLIT = {"old_symbol": "IBM", "old_rate": 1, "new_symbol": "X", "new_rate": 1} | EFFECTIVE
MERGER = {"acquiree_symbol": "IBM", "acquirer_symbol": "EXR", "acquirer_rate": 0.9} | EFFECTIVE


@pytest.fixture
def source(instruments, market_data):
    """The market's time is Wednesday the 7th; somebody who speaks Alpaca's corporate actions."""
    snapshots.publish(snapshot=market_at(moment(7)))
    return AlpacaAnnouncements(base_url=market_data.base_url, keys=KEYS)


def test_a_stock_dividend_is_a_split_of_what_comes_to_each_share(source, market_data):
    saying(market_data, stock_dividends=[STOCK, STOCK | {"symbol": "IBM", "rate": 1}])
    assert record_announced(source) == 2
    assert recorded() == [
        ("AAPL", "split", moment(12, OPEN), None, 21, 20),
        ("IBM", "split", moment(12, OPEN), None, 2, 1),
    ]
    assert record_announced(source) == 0
    assert not Alert.objects.exists()


def test_one_event_that_is_said_as_both_is_one_split(source, market_data):
    as_split = SPLIT | {"ex_date": STOCK["ex_date"], "process_date": STOCK["process_date"], "new_rate": 2}
    saying(market_data, forward_splits=[as_split], stock_dividends=[STOCK | {"rate": 1}])
    assert record_announced(source) == 1
    assert [row[-2:] for row in recorded()] == [(2, 1)]
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [
        ("spin_offs", SPIN_OFF, "a spin off"),
        ("unit_splits", UNIT_SPLIT, "a unit split"),
        ("stock_mergers", MERGER, "a stock merger"),
        ("redemptions", {"symbol": "IBM", "rate": 0.14, "process_date": "2004-01-09"}, "a redemption"),
        ("things_of_tomorrow", {"symbol": "IBM"} | DAYS, "a things of tomorrow"),  # a kind that came later
    ],
)
def test_what_there_are_no_books_for_is_told_once_and_keeps_nothing_out(
    source, market_data, kind, row, words
):
    anothers = {name: "MSFT" if value == "IBM" else value for name, value in row.items()}
    saying(market_data, **{kind: [row, anothers]}, forward_splits=[SPLIT])
    for _ in range(2):
        record_announced(source)
    assert [row[0] for row in recorded()] == ["AAPL"]
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity) == ("corporate_action.unrecorded", "critical")
    assert alert.message.startswith(f"IBM: {words}, ex 2004-01-09")


def test_a_dividend_that_is_paid_much_later_is_recorded_before_its_ex_day(source, market_data):
    """The question is by the day of processing, which is the one on which it is paid."""
    paid = (moment(13) + timedelta(days=80)).date().isoformat()
    saying(market_data, cash_dividends=[CASH | {"process_date": paid}])
    assert record_announced(source) == 1
    assert CorporateAction.objects.get().amount == Decimal("0.25")
