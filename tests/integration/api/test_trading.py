"""Sessions, trades, decisions and the emergency stop over REST."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.clock import database_now
from journal.models import Alert
from portfolios.models import Member
from tests.integration.api.conftest import World, rolled_back
from trading.api import story as story_module
from trading.models import BrokerMessage, Decision, Halt
from trading.services import emergency_stop
from trading.services.breakers import trip

pytestmark = pytest.mark.integration


def test_a_second_session_is_refused_and_the_first_is_named(world: World) -> None:
    body = {"portfolio_id": str(world.desk.portfolio.id), "config": {}}
    answer = world.as_("alice").post("/api/auto-trading/sessions/start", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "session_running")
    assert answer.json()["session_id"] == str(world.desk.session.id)


def test_a_faulty_config_is_refused_with_path_and_suggestion(world: World) -> None:
    config = {"universe": {"symbols": ["AAB"]}, "limits": {"max_order_valu": 1}}
    body = {"portfolio_id": str(world.idle.id), "config": config}
    errors = world.as_("alice").post("/api/auto-trading/sessions/start", body, format="json").json()["errors"]
    assert {error["path"] for error in errors} == {
        "config.universe.symbols[0]",
        "config.limits.max_order_valu",
    }
    assert "max_order_value" in errors[1]["suggestion"]


def test_a_misspelt_key_is_not_ignored(world: World) -> None:
    body = {"portfolio_id": str(world.idle.id), "confg": {"on_stop": "flatten"}}
    (error,) = (
        world.as_("alice").post("/api/auto-trading/sessions/start", body, format="json").json()["errors"]
    )
    assert error["path"] == "confg" and "config" in error["message"]


def test_a_session_pauses_goes_on_and_stops(world: World) -> None:
    alice, path = world.as_("alice"), f"/api/auto-trading/sessions/{world.desk.session.id}"
    states = []
    for verb in ("pause", "resume", "stop"):
        answer = alice.post(
            f"{path}/{verb}", {"reason": "lunch"} if verb != "resume" else None, format="json"
        )
        states.append((answer.json()["status"], answer.json()["is_active"]))
    assert states == [("paused", False), ("active", True), ("stopping", False)]
    again = alice.post(f"{path}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "session_state")


def test_sessions_are_listed_by_status_and_by_when_they_started(world: World) -> None:
    path = f"/api/auto-trading/sessions/{world.desk.portfolio.id}"
    started = world.desk.session.start_time
    later = (started + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    at = started.isoformat().replace("+00:00", "Z")
    found = {
        query: len(world.as_("victor").get(f"{path}?{query}").json()["results"])
        for query in (f"from={at}", f"from={later}", f"to={at}", f"to={later}&status=active", "status=paused")
    }
    assert list(found.values()) == [1, 0, 0, 1, 0]


def test_the_status_shows_session_and_performance(world: World) -> None:
    status = world.as_("victor").get(f"/api/auto-trading/sessions/{world.desk.session.id}/status").json()
    assert (status["session"]["status"], status["session"]["started_by"]) == ("active", "alice")
    assert status["performance"]["total_trades"] == 1
    assert Decimal(status["performance"]["fees"]) == world.filled.fees
    # bought at 100.12, worth 100.00
    assert status["performance"]["unrealised_pnl"] == "-6.00000000"


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("", {"AAA", "BBB"}),
        ("status=filled", {"AAA"}),
        ("status=filled&status=pending", {"AAA", "BBB"}),
        ("symbol=BBB", {"BBB"}),
        ("side=sell", set()),
        ("trade_type=buy", {"AAA", "BBB"}),
        ("rule={rule}", {"AAA", "BBB"}),
        ("rule={session}", set()),
        ("session={session}", {"AAA", "BBB"}),
        ("from={second}", {"BBB"}),
        ("to={second}", {"AAA"}),
    ],
)
def test_trades_are_filtered(world: World, query: str, symbols: set[str]) -> None:
    second = f"{world.pending.market_at:%Y-%m-%dT%H:%M:%SZ}"
    query = query.format(rule=world.rule.id, session=world.desk.session.id, second=second)
    answer = world.as_("victor").get(f"/api/auto-trading/trades/{world.desk.portfolio.id}?{query}")
    assert {trade["symbol"] for trade in answer.json()["results"]} == symbols


@pytest.mark.parametrize("query", ["status=fulfilled", "from=yesterday", "rule=7", "side=hold"])
def test_a_filter_that_means_nothing_is_refused(world: World, query: str) -> None:
    answer = world.as_("alice").get(f"/api/auto-trading/trades/{world.desk.portfolio.id}?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, query.split("=")[0])


def test_money_is_text_and_times_are_utc(world: World) -> None:
    trade = world.as_("victor").get(f"/api/auto-trading/trades/{world.filled.id}/details").json()["trade"]
    assert (trade["quantity"], trade["executed_price"]) == ("50.00000000", "100.12000000")
    assert trade["executed_at"].endswith("Z") and trade["created_at"].endswith("Z")


def test_a_trade_tells_its_whole_story(world: World) -> None:
    story = world.as_("victor").get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
    assert story["trade"]["status"] == "filled"
    assert (story["rule_version"]["version"], story["rule_version"]["name"]) == (1, "AI Strong Buy Entry")
    assert "ai_recommendation" in str(story["explanation"])
    assert story["sizing"]["quantity"] == "50"
    assert {"HALTED", "MAX_ORDER_VALUE"} <= {check["code"] for check in story["checks"]}
    assert [fill["price"] for fill in story["executions"]] == ["100.12000000"]
    assert (story["recommendation"]["id"], story["recommendation"]["symbol"]) == (str(world.advice.id), "AAA")
    assert [event["kind"] for event in story["events"]] == ["decision.made", "trade.created", "trade.filled"]
    assert {event["payload"].get("trade_id", "") for event in story["events"]} == {"", str(world.filled.id)}


def test_of_a_long_story_the_newest_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_module, "SHOWN_MAX", 2)
    for number in range(3):
        BrokerMessage.objects.create(
            trade=world.filled, kind="ask", attempt=number, outcome="unknown", answered_at=database_now()
        )
    story = world.as_("victor").get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
    assert [event["kind"] for event in story["events"]] == ["trade.created", "trade.filled"]
    assert [message["attempt"] for message in story["messages"]] == [1, 2]
    assert len(story["executions"]) == 1


def test_the_story_keeps_the_rule_as_it_was(world: World) -> None:
    changed = {**world.rule.content(), "name": "Another name"}
    assert (
        world.as_("alice").put(f"/api/auto-trading/rules/{world.rule.id}", changed, format="json").status_code
        == 200
    )
    story = world.as_("victor").get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
    assert (story["trade"]["rule_name"], story["rule_version"]["name"]) == (
        "Another name",
        "AI Strong Buy Entry",
    )


def test_a_pending_trade_is_cancelled_once(world: World) -> None:
    path = f"/api/auto-trading/trades/{world.pending.id}/cancel"
    first, second = (world.as_("alice").post(path) for _ in range(2))
    assert (first.status_code, first.json()["status"], first.json()["status_reason"]) == (
        200,
        "cancelled",
        "by alice",
    )
    assert (second.status_code, second.json()["status_now"]) == (409, "cancelled")


def test_a_decision_tells_why_and_leads_to_its_trade(world: World) -> None:
    victor = world.as_("victor")
    path = f"/api/auto-trading/decisions/{world.desk.portfolio.id}?outcome=traded&symbol=AAA"
    (decision,) = victor.get(path).json()["results"]
    assert (decision["rule_name"], decision["rule_version"]) == ("AI Strong Buy Entry", 1)
    why = victor.get(f"/api/auto-trading/decisions/{decision['id']}/details").json()
    assert why["trade_id"] == str(world.filled.id)
    assert why["explanation"] and why["checks"] and why["outranked_by"] is None


def test_a_stop_takes_effect_however_its_id_is_spelt(world: World) -> None:
    spelt = str(world.desk.portfolio.id).upper()
    body = {"scope": "portfolio", "scope_id": spelt, "reason": "Prices look wrong"}
    halt = world.as_("bob").post("/api/emergency-stop", body, format="json").json()
    assert (halt["scope_id"], halt["mode"], halt["armed_by"]) == (str(world.desk.portfolio.id), "halt", "bob")
    world.market.advise("CCC")
    world.desk.step()
    assert world.desk.held("CCC") == 0
    assert "HALTED" in {decision.code for decision in world.desk.decisions()}


def test_who_presses_the_button_again_hears_that_it_is_stopped(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    """Nothing limits the button, so a hundred presses must not be a hundred alerts to read."""
    portfolio, bob = world.desk.portfolio, world.as_("bob")
    body = {"scope": "portfolio", "scope_id": str(portfolio.id), "reason": "Prices look wrong"}
    with django_capture_on_commit_callbacks(execute=True):
        first = bob.post("/api/emergency-stop", body, format="json")
        again = bob.post(
            "/api/emergency-stop",
            body | {"reason": "They still do", "scope_id": body["scope_id"].upper()},
            format="json",
        )
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "reason": "Prices look wrong"}
    assert Halt.objects.filter(scope_id=str(portfolio.id)).count() == 1
    assert Alert.objects.filter(stream_id=portfolio.id, kind="halt.armed").count() == 1


def test_whatever_differs_is_another_stop(world: World) -> None:
    """Weaker before stronger, another person's, another scope, and one after the last was released."""
    portfolio, session = str(world.desk.portfolio.id), str(world.desk.session.id)

    def press(who: str, scope: str = "portfolio", mode: str = "halt") -> tuple[int, str]:
        body = {
            "scope": scope,
            "scope_id": portfolio if scope == "portfolio" else session,
            "mode": mode,
            "reason": "Drill",
        }
        answer = world.as_(who).post("/api/emergency-stop", body, format="json")
        return answer.status_code, answer.json()["id"]

    weak, strong, of_alice, of_session = (
        press("bob", mode="reduce_only"),
        press("bob"),
        press("alice"),
        press("bob", "session"),
    )
    assert [status for status, _ in (weak, strong, of_alice, of_session)] == [201] * 4
    assert press("bob") == (200, strong[1])
    assert press("bob", mode="reduce_only") == (200, weak[1])
    assert world.as_("alice").post(f"/api/emergency-stop/{strong[1]}/release").status_code == 200
    status, anew = press("bob")
    assert (status, anew not in (weak[1], strong[1])) == (201, True)


def test_the_service_knows_a_scope_by_one_spelling_too(world: World) -> None:
    spelt = "{" + str(world.desk.session.id).upper() + "}"
    halt = emergency_stop.arm(scope="session", scope_id=spelt, reason="Drill", actor=None)
    assert halt.scope_id == str(world.desk.session.id)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"scope": "galaxy"}, "scope"),
        ({"mode": "slow"}, "mode"),
        ({"reason": ""}, "reason"),
        ({"scope_id": "AAA"}, "scope_id"),
    ],
)
def test_a_stop_that_would_not_work_is_refused(world: World, change: dict, path: str) -> None:
    body = {"scope": "portfolio", "scope_id": str(world.idle.id), "reason": "Drill", **change}
    answer = world.as_("bob").post("/api/emergency-stop", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, path)


def test_stops_in_force_and_released_ones_are_told_apart(world: World) -> None:
    alice = world.as_("alice")
    released = alice.post(f"/api/emergency-stop/{world.halt.id}/release").json()
    assert (released["released_by"], released["released_at"] is None) == ("alice", False)
    assert alice.get("/api/emergency-stop?in_force=true").json()["results"] == []
    (row,) = alice.get("/api/emergency-stop?in_force=false").json()["results"]
    assert row["id"] == str(world.halt.id)


def test_the_last_seen_decision_comes_first_and_lasts_until_it_was_seen_last(world: World) -> None:
    decisions = {row.instrument.symbol: row for row in world.desk.decisions() if row.instrument}
    lasting, newer = decisions["AAA"], decisions["BBB"]
    assert lasting.market_at < newer.market_at
    hour = timedelta(hours=1)
    Decision.objects.filter(pk=lasting.pk).update(
        last_slot=newer.last_slot + 60, last_market_at=newer.market_at + hour
    )
    minute = timedelta(minutes=1)

    def found(**span: datetime) -> list[str]:
        query = "&".join(f"{name}={moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in span.items())
        path = f"/api/auto-trading/decisions/{world.desk.portfolio.id}?{query}"
        return [row["symbol"] for row in world.as_("victor").get(path).json()["results"]]

    assert found() == ["AAA", "BBB"]
    assert found(**{"from": newer.market_at + minute}) == ["AAA"]
    assert found(**{"from": newer.market_at + hour + minute}) == []
    assert found(to=newer.market_at) == ["AAA"]
    assert found(to=lasting.market_at) == []


@pytest.mark.parametrize(
    ("armed_by", "may"),
    [
        ("bob", {"alice", "tara"}),  # never who armed it, and nobody who only looks
        ("rule", {"bob"}),  # a rule's needs a risk officer
        (None, {"bob"}),  # as does a breaker's
    ],
)
def test_who_may_release_is_told_as_the_release_sees_it(
    world: World, armed_by: str | None, may: set[str]
) -> None:
    actor = world.users.get(armed_by)
    rule_id = world.rule.id if armed_by == "rule" else None
    halt = emergency_stop.arm(
        scope="session", scope_id=str(world.desk.session.id), reason="Drill", actor=actor, rule_id=rule_id
    )
    told, done = set(), set()
    for name in ("alice", "bob", "tara", "victor"):
        client = world.as_(name)
        (row,) = [
            row for row in client.get("/api/emergency-stop").json()["results"] if row["id"] == str(halt.id)
        ]
        assert row["portfolio_id"] == str(world.desk.portfolio.id)
        assert row["armed_by_rule_name"] == (world.rule.name if rule_id else None)
        told |= {name} if row["may_release"] else set()
        with rolled_back():
            done |= (
                {name} if client.post(f"/api/emergency-stop/{halt.id}/release").status_code == 200 else set()
            )
    assert told == done == may


def test_a_breakers_stop_is_told_with_its_numbers_and_found_by_it(world: World) -> None:
    halt = trip(
        breaker="rejection_rate", scope="portfolio", scope_id=str(world.desk.portfolio.id), episode="a minute",
        reason="21 trades were rejected", numbers={"rejected": 21, "limit": Decimal(20)},
    )  # fmt: skip
    assert halt is not None
    rows = world.as_("bob").get("/api/emergency-stop?armed_by_breaker=rejection_rate").json()["results"]
    (row,) = rows
    assert (row["id"], row["armed_by"], row["mode"]) == (str(halt.id), None, "reduce_only")
    assert (row["armed_by_breaker"], row["episode"]) == ("rejection_rate", "a minute")
    assert (row["numbers"], row["may_release"]) == ({"rejected": 21, "limit": "20"}, True)
    others = world.as_("alice").get("/api/emergency-stop?armed_by_breaker=daily_loss").json()["results"]
    assert others == []
    assert world.as_("alice").post(f"/api/emergency-stop/{halt.id}/release").status_code == 403
    assert world.as_("bob").post(f"/api/emergency-stop/{halt.id}/release").status_code == 200


def test_only_staff_may_release_what_is_wider_than_a_portfolio(world: World) -> None:
    halt = emergency_stop.arm(scope="symbol", scope_id="AAA", reason="Drill", actor=None)
    rows = {
        name: next(
            row
            for row in world.as_(name).get("/api/emergency-stop").json()["results"]
            if row["id"] == str(halt.id)
        )
        for name in ("alice", "bob", "steffi")
    }
    assert {name: row["may_release"] for name, row in rows.items()} == {
        "alice": False,
        "bob": False,
        "steffi": True,
    }
    assert {row["portfolio_id"] for row in rows.values()} == {None}
    released = world.as_("steffi").post(f"/api/emergency-stop/{halt.id}/release").json()
    assert (released["released_by"], released["may_release"]) == ("steffi", False)


def test_a_superuser_may_release_a_persons_stop_as_its_owner_may(world: World) -> None:
    root = world.users["root"] = get_user_model().objects.create_superuser("root")
    halt = emergency_stop.arm(
        scope="portfolio", scope_id=str(world.idle.id), reason="Drill", actor=world.users["bob"]
    )
    assert not Member.objects.filter(user=root).exists()
    released = world.as_("root").get("/api/emergency-stop").json()["results"]
    assert {row["may_release"] for row in released if row["id"] == str(halt.id)} == {True}
    assert world.as_("root").post(f"/api/emergency-stop/{halt.id}/release").status_code == 200


def test_the_stops_of_one_portfolio_are_its_own_and_the_wide_ones(world: World) -> None:
    """world.halt is of another portfolio of hers."""
    ids = {
        "portfolio": world.desk.portfolio.id, "account": world.desk.portfolio.broker_account.id,
        "session": world.desk.session.id, "rule": world.rule.id, "symbol": "AAA", "platform": "",
    }  # fmt: skip
    for scope, key in ids.items():
        emergency_stop.arm(scope=scope, scope_id=str(key), reason="Drill", actor=None)
    path = f"/api/emergency-stop?portfolio={world.desk.portfolio.id}"
    rows = world.as_("alice").get(path).json()["results"]
    assert {row["scope"] for row in rows} == set(ids)
    assert str(world.halt.id) not in {row["id"] for row in rows}
    (row,) = (
        world.as_("alice")
        .get(f"/api/emergency-stop?portfolio={world.idle.id}&scope=portfolio")
        .json()["results"]
    )
    assert row["id"] == str(world.halt.id)
