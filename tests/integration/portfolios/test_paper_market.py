"""How the paper market treats an account: set by its owner within ranges, journalled, and not at a real broker."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.errors import Conflict, InvalidInput
from journal.models import Entry
from portfolios.core.paper_market import SETTINGS
from portfolios.models import BrokerAccount, Portfolio
from portfolios.services.paper_market import paper_market_of, set_paper_market
from portfolios.services.portfolios import create_portfolio

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def portfolio(db: object) -> Portfolio:
    alice = get_user_model().objects.create(username="alice")
    return create_portfolio(name="Alice's", owner=alice)


def put(portfolio: Portfolio, **values: Any) -> BrokerAccount:
    return set_paper_market(portfolio_id=portfolio.id, values=values, actor=None)


def test_what_changes_is_journalled_with_what_was(portfolio: Portfolio) -> None:
    put(portfolio, volume_limit_percentage=D(10), seed=7, fee_bps=D(1))
    account = BrokerAccount.objects.get(portfolio=portfolio)
    assert (account.volume_limit_percentage, account.seed, account.fee_bps) == (10, 7, 1)
    entry = Entry.objects.get(stream_id=portfolio.id, kind="account.paper_market_set")
    payload = json.loads(entry.payload)
    assert payload["before"] == {"volume_limit_percentage": "0", "seed": 0}
    assert payload["after"] == {"volume_limit_percentage": "10", "seed": 7}


def test_setting_what_is_so_already_is_nothing(portfolio: Portfolio) -> None:
    put(portfolio, **paper_market_of(BrokerAccount.objects.get(portfolio=portfolio)))
    assert not Entry.objects.filter(kind="account.paper_market_set").exists()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_ends_of_each_range_are_within_it(portfolio: Portfolio, setting: Any) -> None:
    unit = D(1).scaleb(-setting.places)
    for value in (setting.maximum, D(0), unit):
        put(portfolio, **{setting.name: value})
    for value in (-unit, setting.maximum + unit, D("NaN"), unit / 10):
        with pytest.raises(InvalidInput) as refused:
            put(portfolio, **{setting.name: value})
        assert refused.value.errors is not None and refused.value.errors[0]["path"] == setting.name
    stored = BrokerAccount.objects.get(portfolio=portfolio)
    assert getattr(stored, setting.name) == unit


def test_one_bad_value_changes_nothing_of_the_others(portfolio: Portfolio) -> None:
    with pytest.raises(InvalidInput):
        put(portfolio, fee_bps=D(5), slippage_bps=D(-1), colour=D(1))
    assert BrokerAccount.objects.get(portfolio=portfolio).fee_bps == 1


def test_a_real_broker_charges_what_it_charges(portfolio: Portfolio) -> None:
    BrokerAccount.objects.filter(portfolio=portfolio).update(broker="alpaca")
    with pytest.raises(Conflict) as refused:
        put(portfolio, fee_bps=D(0))
    assert refused.value.code == "real_broker"
