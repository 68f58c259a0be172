"""What Prometheus scrapes is for staff."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from foundation import heartbeats, leases
from foundation.clock import database_now
from foundation.models import Heartbeat
from journal.models import Alert, AlertDelivery
from market.models import QuarantineTotal
from portfolios.models import BrokerAccount
from tests.integration.api.conftest import World
from trading.models import AutoTrade, Halt
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


def own_lines(world: World) -> set[str]:
    page = world.as_("steffi").get("/metrics", headers=ACCEPT).content.decode()
    return {line for line in page.splitlines() if line.startswith("autotrading_")}


def test_they_tell_how_long_ago_each_component_was_heard(world: World) -> None:
    heartbeats.beat(component="worker.evaluation")
    heartbeats.beat(component="feed")
    Heartbeat.objects.filter(component="feed").update(at=database_now() - timedelta(minutes=5))
    Heartbeat.objects.create(  # another process of it, which is long gone
        component="worker.evaluation",
        instance="gone:1",
        code_version="",
        at=database_now() - timedelta(hours=5),
    )
    ages = {line.split()[0]: float(line.split()[1]) for line in own_lines(world)}
    assert 300 <= ages['autotrading_heartbeat_age_seconds{component="feed"}'] < 330
    assert 0 <= ages['autotrading_heartbeat_age_seconds{component="worker.evaluation"}'] < 30
    assert 'autotrading_heartbeat_age_seconds{component="beat"}' not in ages  # never heard


def test_they_tell_of_machines_whose_clocks_are_wrong(world: World) -> None:
    for host, ahead in (("right", 0.2), ("ahead", 20.0), ("behind", -3.5)):
        Heartbeat.objects.create(
            component="feed",
            instance=f"{host}:1",
            code_version="",
            at=database_now(),
            clock_ahead_seconds=ahead,
        )
    assert {line for line in own_lines(world) if line.startswith("autotrading_clock")} == {
        'autotrading_clock_ahead_seconds{host="ahead"} 20.0',
        'autotrading_clock_ahead_seconds{host="behind"} -3.5',
    }


def test_they_count_stops_and_what_waits_for_a_person(world: World) -> None:
    Halt.objects.update(released_at=database_now(), released_by=world.users["rita"])
    assert {
        'autotrading_halts_in_force{mode="halt",scope="platform"} 0.0',
        "autotrading_halts_undrained 0.0",
        "autotrading_trades_quarantined 0.0",
    } <= own_lines(world)
    for drained_at in (None, database_now()):
        Halt.objects.create(
            scope="symbol", scope_id="AAA", mode="reduce_only", reason="x", drained_at=drained_at
        )
    AutoTrade.objects.filter(pk=world.pending.pk).update(status="quarantined")
    assert {
        'autotrading_halts_in_force{mode="halt",scope="platform"} 0.0',
        'autotrading_halts_in_force{mode="reduce_only",scope="symbol"} 2.0',
        "autotrading_halts_undrained 1.0",
        "autotrading_trades_quarantined 1.0",
    } <= own_lines(world)


def test_they_count_alerts_that_did_not_reach_anybody(world: World) -> None:
    AlertDelivery.objects.all().delete()
    first, second = (
        Alert.objects.create(
            stream_id=world.desk.portfolio.pk, seq=seq, kind="halt.armed", severity="critical", message="x"
        )
        for seq in (1, 2)
    )
    AlertDelivery.objects.create(alert=first, channel="log", state="delivered", delivered_at=database_now())
    AlertDelivery.objects.create(alert=first, channel="webhook", state="failed")
    AlertDelivery.objects.create(alert=second, channel="webhook", state="failed")
    AlertDelivery.objects.create(alert=second, channel="log")
    name = "autotrading_alerts_undelivered"
    assert {
        f'{name}{{channel="log",state="pending"}} 1.0',
        f'{name}{{channel="log",state="failed"}} 0.0',
        f'{name}{{channel="webhook",state="failed"}} 2.0',
    } <= own_lines(world)
    Alert.objects.filter(pk=first.pk).update(
        acknowledged_at=database_now(), acknowledged_by=world.users["alice"]
    )
    assert f'{name}{{channel="webhook",state="failed"}} 1.0' in own_lines(world)


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
