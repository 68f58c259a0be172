"""What is asked for: all active instruments, however many they are."""

from decimal import Decimal
from itertools import islice, product

import pytest

from market.feed.providers.alpaca import AlpacaAnnouncements, DataKeys
from market.models import CorporateAction, Instrument
from market.services import snapshots
from market.services.announcements import record_announced

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
