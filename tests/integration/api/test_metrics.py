"""What Prometheus scrapes is for staff."""

import pytest
from rest_framework.test import APIClient

from foundation import heartbeats, leases
from foundation.clock import database_now
from market.models import QuarantineTotal
from portfolios.models import BrokerAccount
from tests.integration.api.conftest import World
from trading.services.breaks import record_break

pytestmark = pytest.mark.integration
ACCEPT = {"Accept": "application/openmetrics-text;version=1.0.0"}


def test_outsiders_get_no_metrics(world: World) -> None:
    answer = APIClient().get("/metrics", headers=ACCEPT)
    assert (answer.status_code, "django_http" in answer.content.decode()) == (401, False)


def test_for_users_there_are_none(world: World) -> None:
    answer = world.as_("alice").get("/metrics", headers=ACCEPT)
    assert (answer.status_code, "django_http" in answer.content.decode()) == (404, False)


def test_staff_get_them_by_token_and_by_session(world: World) -> None:
    by_session = APIClient()
    by_session.force_login(world.users["steffi"])
    for client in (world.as_("steffi"), by_session):
        answer = client.get("/metrics", headers=ACCEPT)
        assert (answer.status_code, "django_http_requests_total" in answer.content.decode()) == (200, True)
        assert answer["Content-Type"].startswith("text/plain")


def test_they_count_what_the_feed_did_not_believe(world: World) -> None:
    QuarantineTotal.objects.create(reason="zero", total=7, minute=database_now(), in_minute=1)
    page = world.as_("steffi").get("/metrics", headers=ACCEPT).content.decode()
    assert 'autotrading_market_quarantined_total{reason="zero"} 7.0' in page
    assert 'autotrading_market_quarantined_total{reason="jump"} 0.0' in page


def test_they_tell_of_open_breaks_and_of_who_follows_brokers(world: World) -> None:
    account = BrokerAccount.objects.get(portfolio=world.desk.portfolio)
    BrokerAccount.objects.filter(pk=account.pk).update(broker="alpaca")

    def shown() -> list[str]:
        page = world.as_("steffi").get("/metrics", headers=ACCEPT).content.decode()
        return [line for line in page.splitlines() if line.startswith("autotrading_")]

    assert {
        'autotrading_open_breaks{kind="cash"} 0.0',
        'autotrading_broker_accounts{followed="no"} 1.0',
    } <= set(shown())
    assert not any(line.startswith("autotrading_streams_heard") for line in shown())
    record_break(account_id=account.pk, kind="cash", key="USD", ours={}, theirs={}, detail="more")
    leases.acquire(name=f"broker.stream:{account.pk}", holder="one", seconds=60)
    heartbeats.beat(component="streams")
    assert {
        'autotrading_open_breaks{kind="cash"} 1.0',
        'autotrading_broker_accounts{followed="yes"} 1.0',
    } <= set(shown())
    assert any(line.startswith("autotrading_streams_heard_seconds_ago 0.") for line in shown())
