"""The journal, alerts and tickets over REST: one's own, and nobody else's."""

import json
from uuid import UUID, uuid4

import pytest
from rest_framework.test import APIClient

from journal.core.events import PLATFORM_STREAM, AlertSpec
from journal.models import Alert
from portfolios.models import Member, Role
from tests.integration.journal.conftest import make_portfolio, make_user, record

pytestmark = [pytest.mark.integration]


def api(who=None) -> APIClient:
    client = APIClient()
    if who is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Token {who.token}")
    return client


def results(answer) -> list[dict]:
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)["results"]


def test_the_journal_lists_events_as_the_socket_sends_them(cast):
    record(cast.portfolio, count=3, price="10.5")
    events = results(api(cast.bob).get("/api/journal", {"portfolio": cast.portfolio, "since": 1}))
    assert [event["seq"] for event in events] == [2, 3]
    assert events[0].keys() == {"stream", "seq", "kind", "at", "payload"}
    assert events[0]["payload"] == {"number": 1, "price": "10.5"}
    assert events[0]["stream"] == str(cast.portfolio)


def test_the_journal_goes_on_page_by_page_in_order(cast):
    record(cast.portfolio, count=25)
    client = api(cast.alice)
    answer = client.get("/api/journal", {"portfolio": cast.portfolio, "page_size": 10})
    seen = []
    while True:
        seen += [event["seq"] for event in results(answer)]
        following = answer.json()["next"]
        if following is None:
            break
        answer = client.get(following)
    assert seen == list(range(1, 26))


def test_the_journal_filters_by_kind(cast):
    record(cast.portfolio, kind="test.also_happened")
    record(cast.portfolio, kind="test.happened")
    events = results(api(cast.alice).get("/api/journal", {"kind": "test.happened"}))
    assert [event["seq"] for event in events] == [2]


def test_without_a_portfolio_one_sees_all_of_ones_own_and_no_other(cast):
    other = make_portfolio(cast.charlie)
    record(cast.portfolio)
    record(other)
    record(PLATFORM_STREAM, kind="test.happened")
    assert {event["stream"] for event in results(api(cast.alice).get("/api/journal"))} == {
        str(cast.portfolio)
    }
    assert {event["stream"] for event in results(api(cast.charlie).get("/api/journal"))} == {str(other)}
    dora = make_user("dora", is_staff=True)
    assert str(PLATFORM_STREAM) in {event["stream"] for event in results(api(dora).get("/api/journal"))}


@pytest.mark.parametrize("address", ["/api/journal", "/api/alerts"])
def test_a_foreign_portfolio_does_not_exist(cast, address):
    for portfolio in (cast.portfolio, uuid4()):
        answer = api(cast.charlie).get(address, {"portfolio": portfolio})
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "query", [{"portfolio": "x"}, {"since": "1"}, {"portfolio": str(UUID(int=7)), "since": "x"}]
)
def test_a_bad_query_says_what_is_wrong(cast, query):
    answer = api(cast.alice).get("/api/journal", query)
    assert answer.status_code == 400
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/api/journal"),
        ("get", "/api/alerts"),
        ("post", f"/api/alerts/{UUID(int=7)}/acknowledge"),
        ("post", "/api/stream/tickets"),
    ],
)
def test_nothing_without_a_login(database, method, address):
    assert getattr(api(), method)(address).status_code == 401


def test_alerts_are_listed_newest_first_and_filtered(cast):
    record(cast.portfolio, alert=AlertSpec("warning", "first"))
    record(cast.portfolio, alert=AlertSpec("critical", "second"))
    client = api(cast.alice)
    assert [alert["message"] for alert in results(client.get("/api/alerts"))] == ["second", "first"]
    critical = results(client.get("/api/alerts", {"severity": "critical", "portfolio": cast.portfolio}))
    assert [alert["message"] for alert in critical] == ["second"]
    assert results(api(cast.charlie).get("/api/alerts")) == []


def test_the_first_to_acknowledge_is_noted(cast):
    record(cast.portfolio, alert=AlertSpec("warning", "look here"))
    alert = Alert.objects.get(stream=cast.portfolio)
    address = f"/api/alerts/{alert.pk}/acknowledge"
    assert api(cast.charlie).post(address).status_code == 404
    first = api(cast.bob).post(address)
    assert first.status_code == 200
    assert first.json()["acknowledged_by"] == cast.bob.user.username
    second = api(cast.alice).post(address)
    assert second.json() == first.json()
    client = api(cast.alice)
    assert results(client.get("/api/alerts", {"acknowledged": "false"})) == []
    assert len(results(client.get("/api/alerts", {"acknowledged": "true"}))) == 1


def test_who_was_told_of_an_alert_is_told_once_that_somebody_knows(cast):
    """So that it leaves the others' screens, too; and the journal keeps who it was."""
    (raised,) = record(cast.portfolio, alert=AlertSpec("warning", "look here"))
    alert = Alert.objects.get(stream=cast.portfolio)
    for who in (cast.bob, cast.alice):
        assert api(who).post(f"/api/alerts/{alert.pk}/acknowledge").status_code == 200
    (event,) = results(
        api(cast.alice).get("/api/journal", {"portfolio": cast.portfolio, "since": raised.seq})
    )
    assert event["kind"] == "alert.acknowledged"
    assert event["payload"] == {
        "alert_id": str(alert.pk), "severity": "warning", "raised_by": "test.happened", "raised_seq": raised.seq,
        "actor": cast.bob.user.username,
    }  # fmt: skip


def test_a_viewer_sees_an_alert_and_may_not_acknowledge_it(cast):
    victor = make_user("victor")
    Member.objects.create(portfolio_id=cast.portfolio, user=victor.user, role=Role.VIEWER)
    record(cast.portfolio, alert=AlertSpec("warning", "look here"))
    (alert,) = results(api(victor).get("/api/alerts"))
    answer = api(victor).post(f"/api/alerts/{alert['id']}/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    assert Alert.objects.get(pk=alert["id"]).acknowledged_at is None


def test_the_platforms_alerts_are_acknowledged_by_staff(cast):
    (entry,) = record(PLATFORM_STREAM, kind="test.alerted", alert=AlertSpec("critical", "silent"))
    alert = Alert.objects.get(stream=PLATFORM_STREAM, seq=entry.seq)
    address = f"/api/alerts/{alert.pk}/acknowledge"
    assert api(cast.alice).post(address).status_code == 404
    dora = make_user("dora", is_staff=True)
    assert api(dora).post(address).json()["acknowledged_by"] == dora.user.username


def test_a_list_costs_the_same_however_long_it_is(cast, django_assert_num_queries):
    client = api(cast.alice)
    record(cast.portfolio, count=2, alert=AlertSpec("info", "x"))
    for address in ("/api/journal", "/api/alerts"):
        client.get(address)
    record(cast.portfolio, count=40, alert=AlertSpec("info", "x"))
    for address in ("/api/journal", "/api/alerts"):
        with django_assert_num_queries(4):  # token, its user's other tokens, visible portfolios, rows
            assert len(results(client.get(address))) == 42
