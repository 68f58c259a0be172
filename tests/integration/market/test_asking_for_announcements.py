"""What is asked for: all active instruments, and what goes ex soon, whenever it is paid; each of it counts once."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice, product

import pytest

from journal.models import Alert
from market.feed.providers.alpaca import AlpacaAnnouncements, DataKeys
from market.models import CorporateAction, Instrument
from market.services import snapshots
from market.services.announcements import record_announced
from market.services.corporate_actions import NewCorporateAction, record, withdraw

from .conftest import market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
KEYS = DataKeys("PKDATA", "the-secret-of-the-data")


@pytest.fixture
def source(instruments, market_data):
    """The market's time is Wednesday the 7th of January 2004."""
    snapshots.publish(snapshot=market_at(moment(7)))
    return AlpacaAnnouncements(base_url=market_data.base_url, keys=KEYS)


def split_of(symbol, day="2004-01-09", **given):
    return {
        "symbol": symbol, "new_rate": 2, "old_rate": 1, "ex_date": day, "process_date": day,
    } | given  # fmt: skip


def dividend_of(symbol, day, **given):
    return {
        "symbol": symbol, "rate": 0.25, "special": False, "foreign": False, "ex_date": day, "process_date": day,
    } | given  # fmt: skip


def recorded():
    return set(CorporateAction.objects.values_list("instrument__symbol", "kind"))


def amounts():
    return sorted(CorporateAction.objects.values_list("amount", flat=True))


def test_however_many_instruments_there_are_each_ones_split_is_recorded(source, market_data, exchange):
    further = ["".join(letters) for letters in islice(product("BCDE", repeat=4), 118)]
    Instrument.objects.bulk_create(
        Instrument(symbol=symbol, name=symbol, exchange=exchange, tick_size=Decimal("0.01"), lot_size=1)
        for symbol in further
    )
    asked = sorted(["AAPL", "IBM", *further])
    splits = [split_of(asked[index]) for index in (0, 99, 100, 119)]
    on_the_page_before = [dividend_of(asked[0], "2004-01-08"), dividend_of(asked[119], "2004-01-08")]
    market_data.do("actions", actions={"cash_dividends": on_the_page_before, "forward_splits": splits})
    assert record_announced(source) == 6
    assert recorded() >= {(row["symbol"], "split") for row in splits}


@pytest.mark.parametrize("paid", ["2004-01-08", "2004-02-22", "2004-12-20"])
def test_a_dividend_that_is_paid_long_after_its_ex_day_is_recorded_before_it(source, market_data, paid):
    market_data.do(
        "actions", actions={"cash_dividends": [dividend_of("IBM", "2004-01-08", process_date=paid)]}
    )
    assert record_announced(source) == 1
    assert CorporateAction.objects.get().ex_at.isoformat() == "2004-01-08T14:30:00+00:00"


def test_what_went_ex_long_ago_is_not_recorded_on_the_day_of_its_payment(source, market_data):
    late = dividend_of("IBM", "2003-11-20", process_date="2004-01-08")
    market_data.do("actions", actions={"cash_dividends": [late, late | {"rate": None}]})
    assert record_announced(source) == 0
    assert not Alert.objects.exists(), "nor read any further"


DAY = "2004-01-13"
INCOME = dividend_of("IBM", DAY, id="5d2b", process_date="2004-01-28")
CAPITAL = INCOME | {"id": "9f01", "rate": 0.05, "sub_type": "return_of_capital"}


def known(external_id, amount):
    """Recorded already: by people, or under an id that was made of symbol, day and sort."""
    item = NewCorporateAction(
        external_id=external_id, symbol="IBM", ex_at=datetime(2004, 1, 13, 14, 30, tzinfo=UTC), kind="dividend",
        amount=Decimal(amount),
    )  # fmt: skip
    return record(item, actor=None)[0]


def test_two_dividends_of_one_ex_day_are_two(source, market_data):
    market_data.do("actions", actions={"cash_dividends": [INCOME, CAPITAL]})
    assert record_announced(source) == 2
    assert record_announced(source) == 0
    assert amounts() == [Decimal("0.05"), Decimal("0.25")]
    assert not Alert.objects.exists()


@pytest.mark.parametrize("external_id", ["alpaca:dividend:IBM:2004-01-13:regular", "written by hand"])
def test_what_is_recorded_under_another_id_is_not_recorded_a_second_time(source, market_data, external_id):
    known(external_id, "0.25")
    market_data.do("actions", actions={"cash_dividends": [INCOME, CAPITAL]})
    assert record_announced(source) == 1, "the other one of that day"
    assert record_announced(source) == 0
    assert amounts() == [Decimal("0.05"), Decimal("0.25")]
    assert not Alert.objects.exists()


def test_what_people_have_withdrawn_under_another_id_stays_so(source, market_data):
    row = known("alpaca:dividend:IBM:2004-01-13:regular", "0.25")
    withdraw(action_id=row.id, actor=None, reason="it was called off")
    market_data.do("actions", actions={"cash_dividends": [INCOME]})
    assert record_announced(source) == 0
    assert not Alert.objects.exists()


@pytest.mark.parametrize("corrected", [{"rate": 0.26}, {"ex_date": "2004-01-14"}])
def test_a_correction_is_told_once_and_recorded_by_people(source, market_data, corrected):
    market_data.do("actions", actions={"cash_dividends": [INCOME]})
    record_announced(source)
    market_data.do("actions", actions={"cash_dividends": [INCOME | corrected]})
    for _ in range(2):
        assert record_announced(source) == 0
    assert amounts() == [Decimal("0.25")]
    alert = Alert.objects.get()
    assert alert.kind == "corporate_action.unrecorded"
    assert "alpaca:dividend:5d2b" in alert.message and "withdraw" in alert.message


def test_a_correction_of_what_has_an_id_of_before_is_told_and_not_recorded_beside_it(source, market_data):
    known("alpaca:dividend:IBM:2004-01-13:regular", "0.25")
    market_data.do("actions", actions={"cash_dividends": [INCOME | {"rate": 0.26}]})
    assert record_announced(source) == 0
    assert "alpaca:dividend:IBM:2004-01-13:regular" in Alert.objects.get().message


def test_a_symbol_that_is_none_of_the_providers_keeps_no_other_out(source, market_data, exchange):
    Instrument.objects.create(
        symbol="^VIX", name="^VIX", exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )
    market_data.do("actions", actions={"forward_splits": [split_of("AAPL")]})
    assert record_announced(source) == 1
