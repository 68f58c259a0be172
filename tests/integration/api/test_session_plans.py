"""Session plans over REST: who may, what is shown, and what is refused."""

from typing import Any

import pytest

from sessions.services.calendar import run_calendar
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
PLANS = "/api/auto-trading/session-plans"


def content(**more: Any) -> dict[str, Any]:
    return {"name": "Every day", "exchange": "XTST", **more}


def create(world: World, who: str = "alice", **more: Any) -> Any:
    body = {"portfolio_id": str(world.desk.portfolio.id), **content(**more)}
    return world.as_(who).post(PLANS, body, format="json")


def test_a_plan_lives_from_its_making_to_its_deletion(world: World) -> None:
    made = create(
        world, weekdays=["FRIDAY", "MONDAY"], config={"on_stop": "flatten"}, stop_minutes_after_close=-10
    )
    assert made.status_code == 201
    shown = made.json()
    assert (shown["weekdays"], shown["is_enabled"], shown["responsible"]) == (
        ["MONDAY", "FRIDAY"],
        True,
        "alice",
    )
    path = f"{PLANS}/{shown['id']}"
    assert world.as_("victor").get(path).json() == shown
    changed = world.as_("tara").put(path, content(start_minutes_before_open=5), format="json").json()
    assert (changed["start_minutes_before_open"], changed["weekdays"], changed["config"]) == (5, [], {})
    assert changed["responsible"] == "tara"
    assert world.as_("alice").post(f"{path}/disable").json()["is_enabled"] is False
    enabled = world.as_("alice").post(f"{path}/enable").json()
    assert (enabled["is_enabled"], enabled["responsible"]) == (True, "alice")
    assert world.as_("alice").delete(path).status_code == 204
    assert world.as_("alice").get(path).status_code == 404


@pytest.mark.parametrize("minutes", [0, 5])
def test_a_plan_that_flattens_must_end_while_the_market_is_open(world: World, minutes: int) -> None:
    answer = create(world, config={"on_stop": "flatten"}, stop_minutes_after_close=minutes)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "stop_minutes_after_close")


@pytest.mark.parametrize("who", ["victor", "bob"])  # a viewer, and a risk officer, who does not trade
def test_who_may_not_trade_may_not_plan(world: World, who: str) -> None:
    path = f"{PLANS}/{create(world).json()['id']}"
    client = world.as_(who)
    answers = [
        create(world, who, name="Mine"), client.put(path, content(), format="json"), client.delete(path),
        client.post(f"{path}/enable"), client.post(f"{path}/disable"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {403}


def test_plans_are_listed_by_portfolio_and_by_whether_they_are_enabled(world: World) -> None:
    first, second = create(world).json(), create(world, name="Another").json()
    world.as_("alice").post(f"{PLANS}/{first['id']}/disable")

    def listed(query: str, who: str = "victor") -> list[str]:
        return [row["id"] for row in world.as_(who).get(f"{PLANS}?{query}").json()["results"]]

    assert listed("enabled=true") == [second["id"]]
    assert set(listed(f"portfolio={world.desk.portfolio.id}")) == {first["id"], second["id"]}
    assert listed(f"portfolio={world.idle.id}") == [] == listed("", "charlie")


def test_faults_are_named_with_path_and_suggestion(world: World) -> None:
    answer = create(world, exchange="XTSX", weekdays=["MONDAYS"], config={"onstop": "keep"})
    assert answer.status_code == 400
    errors = {row["path"]: row.get("suggestion", "") for row in answer.json()["errors"]}
    assert set(errors) == {"exchange", "weekdays[0]", "config.onstop"}
    assert (
        "XTST" in errors["exchange"]
        and "MONDAY" in errors["weekdays[0]"]
        and "on_stop" in errors["config.onstop"]
    )
    create(world)
    taken = create(world)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")


def test_a_session_says_which_plan_started_it(world: World) -> None:
    run_calendar()
    path = f"/api/auto-trading/sessions/{world.desk.portfolio.id}"
    (session,) = world.as_("victor").get(path).json()["results"]
    assert (session["plan_id"], session["ends_at"]) == (None, None)
