"""A paper account's market is set on its page, within the ranges that the fields name; a real broker's is shown."""

import pytest
from django.urls import reverse

from journal.models import Entry
from portfolios.models import BrokerAccount
from tests.integration.api.calls import PAPER_MARKET

pytestmark = pytest.mark.integration


@pytest.fixture
def account(cast):
    return BrokerAccount.objects.get(portfolio=cast.portfolio)


def url(account):
    return reverse("admin:portfolios_brokeraccount_change", args=[account.pk])


def test_its_fields_say_unit_and_range(admin_page, account):
    text = admin_page.get(url(account)).content.decode()
    assert "percent, 0 to 100" in text and "basis points, 0 to 5,000" in text


def test_it_is_set_and_journalled(admin_page, account):
    assert admin_page.post(url(account), PAPER_MARKET).status_code == 302
    account.refresh_from_db()
    assert (account.volume_limit_percentage, account.latency_ms, account.seed) == (10, 250, 7)
    entry = Entry.objects.get(stream_id=account.portfolio_id, kind="account.paper_market_set")
    assert '"actor":"dora"' in entry.payload


def test_a_value_out_of_range_is_told_at_its_field(admin_page, account):
    page = admin_page.post(url(account), {**PAPER_MARKET, "volume_limit_percentage": "101"})
    assert page.status_code == 200 and "from 0 to 100" in page.content.decode()
    account.refresh_from_db()
    assert account.volume_limit_percentage == 0


def test_a_real_brokers_is_only_shown(admin_page, account):
    BrokerAccount.objects.filter(pk=account.pk).update(broker="alpaca")
    assert admin_page.get(url(account)).status_code == 200
    assert admin_page.post(url(account), PAPER_MARKET).status_code == 403
    assert reverse("admin:portfolios_brokeraccount_changelist")
    assert admin_page.get(reverse("admin:portfolios_brokeraccount_add")).status_code == 403
