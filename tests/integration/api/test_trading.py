"""Sessions, trades, decisions and the emergency stop over REST."""

from decimal import Decimal

import pytest

from tests.integration.api.conftest import World
from trading.services import emergency_stop

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
