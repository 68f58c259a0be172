"""Four eyes over REST: what waits is shown, and decided by another person. Tara trades, Rita guards like Bob."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model

from portfolios.models import BrokerAccount
from portfolios.services.limits import set_limits
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


@pytest.fixture
def careful(world: World) -> World:
    path = f"/api/portfolios/{world.desk.portfolio.id}/four-eyes"
    answer = world.as_("alice").post(path, {"enabled": True}, format="json")
    assert (answer.status_code, answer.json()["four_eyes"]) == (200, True)
    return world


def change(world: World, who: str = "tara", priority: int = 3) -> Any:
    path = f"/api/auto-trading/rules/{world.rule.id}"
    answer = world.as_(who).put(path, {**STRONG_BUY_ENTRY, "priority": priority}, format="json")
    assert answer.status_code == 200
    return answer.json()


def decide(world: World, who: str, version: int, decision: str = "approve") -> Any:
    return world.as_(who).post(f"/api/auto-trading/rules/{world.rule.id}/versions/{version}/{decision}")


def test_a_change_is_shown_beside_what_is_in_force(careful: World) -> None:
    shown = change(careful)
    assert (shown["version"], shown["priority"]) == (1, 0)
    pending = shown["pending_version"]
    assert (pending["version"], pending["priority"], pending["created_by"]) == (2, 3, "tara")
    assert (pending["approval"], pending["decided_by"], pending["decided_at"]) == ("waiting", None, None)
    assert pending["conditions"] == shown["conditions"]
    details = careful.as_("victor").get(f"/api/auto-trading/rules/{careful.rule.id}/details").json()
    assert details["pending_version"] == pending
    listed = (
        careful.as_("victor").get(f"/api/auto-trading/rules/{careful.desk.portfolio.id}").json()["results"]
    )
    assert {row["name"]: row["pending_version"] for row in listed}["Stop Loss Protection"] is None
    assert pending in [row["pending_version"] for row in listed]


def test_another_person_approves_it(careful: World) -> None:
    change(careful)
    answer = decide(careful, "bob", 2)
    assert answer.status_code == 200
    rule = answer.json()
    assert (rule["version"], rule["priority"], rule["pending_version"]) == (2, 3, None)
    versions = (
        careful.as_("victor").get(f"/api/auto-trading/rules/{careful.rule.id}/versions").json()["results"]
    )
    assert [(row["version"], row["approval"], row["decided_by"]) for row in versions] == [
        (2, "approved", "bob"),
        (1, "not_needed", None),
    ]


def test_who_is_refused_and_with_what(careful: World) -> None:
    change(careful, "alice")
    for who, status, code in (
        ("alice", 409, "four_eyes"),
        ("charlie", 404, "not_found"),
        ("victor", 403, "role_required"),
        ("tara", 403, "role_required"),
    ):
        answer = decide(careful, who, 2)
        assert (answer.status_code, answer.json()["code"]) == (status, code), who
    for version in (3, 0, 10**20):
        assert decide(careful, "bob", version).status_code == 404
    assert decide(careful, "bob", 1).json()["code"] == "not_waiting"


def test_only_the_newest_is_approved(careful: World) -> None:
    change(careful)
    change(careful, priority=4)
    assert decide(careful, "bob", 2).json()["code"] == "superseded"
    assert decide(careful, "bob", 3).json()["priority"] == 4
    assert decide(careful, "bob", 3).json()["code"] == "not_waiting"


def test_rejected_it_is_gone_and_its_author_may_withdraw(careful: World) -> None:
    change(careful)
    assert decide(careful, "rita", 2, "reject").json()["pending_version"] is None
    change(careful)
    assert decide(careful, "tara", 3, "reject").json()["pending_version"] is None
    assert (
        careful.as_("tara").get(f"/api/auto-trading/rules/{careful.rule.id}/details").json()["version"] == 1
    )


def test_a_new_rule_waits_inactive(careful: World) -> None:
    body = {**STOP_LOSS, "name": "Another stop", "portfolio_id": str(careful.desk.portfolio.id)}
    made = careful.as_("tara").post("/api/auto-trading/rules", body, format="json").json()
    assert (made["is_active"], made["activate_when_approved"]) == (False, True)
    assert made["pending_version"]["version"] == 1
    refused = careful.as_("tara").post(f"/api/auto-trading/rules/{made['id']}/activate")
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_required")
    path = f"/api/auto-trading/rules/{made['id']}/versions/1/approve"
    assert careful.as_("bob").post(path).json()["is_active"] is True


def test_a_rule_prepared_before_is_not_activated_by_one_person(world: World) -> None:
    path = f"/api/auto-trading/rules/{world.rule.id}"
    assert world.as_("tara").post(f"{path}/deactivate").status_code == 200
    world.as_("alice").post(
        f"/api/portfolios/{world.desk.portfolio.id}/four-eyes", {"enabled": True}, format="json"
    )
    answer = world.as_("tara").post(f"{path}/activate")
    assert (answer.status_code, answer.json()["is_active"]) == (200, False)
    assert answer.json()["pending_version"]["created_by"] == "tara"
    refused = world.as_("tara").post(f"{path}/activate")
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_required")
    assert decide(world, "bob", 2).json()["is_active"] is True


def test_limits_wait_beside_those_in_force(careful: World) -> None:
    path = f"/api/portfolios/{careful.desk.portfolio.id}/limits"
    shown = careful.as_("bob").put(path, {"max_order_value": "5000"}, format="json").json()
    assert shown["portfolio"] is None
    assert (shown["pending"]["version"], shown["pending"]["created_by"]) == (1, "bob")
    assert shown["effective"]["max_order_value"] == shown["platform"]["values"]["max_order_value"]
    for who, status, code in (
        ("bob", 409, "four_eyes"),
        ("charlie", 404, "not_found"),
        ("victor", 403, "role_required"),
    ):
        answer = careful.as_(who).post(f"{path}/1/approve")
        assert (answer.status_code, answer.json()["code"]) == (status, code), who
    assert careful.as_("alice").post(f"{path}/2/approve").status_code == 404
    approved = careful.as_("alice").post(f"{path}/1/approve").json()
    assert (approved["portfolio"]["decided_by"], approved["pending"]) == ("alice", None)
    assert approved["effective"]["max_order_value"] == "5000.00000000"


def test_limits_are_rejected_or_withdrawn(careful: World) -> None:
    path = f"/api/portfolios/{careful.desk.portfolio.id}/limits"
    for version, who in ((1, "rita"), (2, "bob")):
        careful.as_("bob").put(path, {"max_order_value": "5000"}, format="json")
        answer = careful.as_(who).post(f"{path}/{version}/reject").json()
        assert (answer["pending"], answer["portfolio"]) == (None, None)


def test_what_waits_for_whom(careful: World) -> None:
    change(careful)
    path = f"/api/portfolios/{careful.desk.portfolio.id}/limits"
    careful.as_("bob").put(path, {"max_order_value": "5000"}, format="json")

    def waiting(who: str) -> list[tuple[str, str, int]]:
        rows = careful.as_(who).get("/api/approvals").json()
        return [(row["kind"], row["proposed_by"], row["version"]) for row in rows]

    rule, limits = ("rule", "tara", 2), ("limits", "bob", 1)
    assert waiting("alice") == waiting("rita") == [rule, limits]
    assert waiting("bob") == [rule], "not what he proposed himself"
    assert waiting("tara") == waiting("victor") == waiting("charlie") == waiting("steffi") == []
    for row in careful.as_("alice").get("/api/approvals").json():
        assert row["portfolio"] == careful.desk.portfolio.name
        assert careful.as_("alice").post(f"{row['path']}/approve").status_code == 200
    assert waiting("alice") == []


def test_staff_see_what_holds_everywhere(careful: World) -> None:
    careful.users["dora"] = get_user_model().objects.create_superuser("dora")
    from_platform = careful.as_("bob").get(f"/api/portfolios/{careful.idle.id}/limits").json()["platform"]
    assert from_platform["approval"] == "not_needed"
    account = BrokerAccount.objects.get(portfolio=careful.desk.portfolio)
    for scope, scope_id in (("platform", None), ("account", account.id)):
        _propose(careful, scope, scope_id)
    rows = careful.as_("dora").get("/api/approvals").json()
    assert [(row["what"], row["portfolio"]) for row in rows] == [
        ("limits of the platform", None),
        ("limits of the account", careful.desk.portfolio.name),
    ]
    assert [row["what"] for row in careful.as_("steffi").get("/api/approvals").json()] == [
        "limits of the platform"
    ]
    for row in rows:
        answer = careful.as_("dora").post(f"{row['path']}/approve")
        assert (answer.status_code, answer.json()["approval"]) == (200, "approved")
    assert careful.as_("dora").get("/api/approvals").json() == []


def test_an_accounts_limits_are_shown_waiting_and_decided_by_another(careful: World) -> None:
    path = f"/api/portfolios/{careful.desk.portfolio.id}/account-limits"
    shown = careful.as_("bob").put(path, {"max_order_value": "70"}, format="json").json()
    waiting = shown["account_pending"]
    assert (shown["account"], waiting["scope"], waiting["created_by"]) == (None, "account", "bob")
    assert (shown["pending"], shown["platform_pending"]) == (None, None)
    decide = f"/api/limits/{waiting['id']}"
    for who, status, code in (
        ("bob", 409, "four_eyes"),
        ("charlie", 404, "not_found"),
        ("steffi", 404, "not_found"),
        ("victor", 403, "role_required"),
    ):
        answer = careful.as_(who).post(f"{decide}/approve")
        assert (answer.status_code, answer.json()["code"]) == (status, code), who
    assert careful.as_("rita").post(f"{decide}/approve").json()["decided_by"] == "rita"
    shown = careful.as_("victor").get(path).json()
    assert (shown["account_pending"], shown["effective"]["max_order_value"]) == (None, "70.00000000")
    shown = careful.as_("bob").put(path, {"max_order_value": "80"}, format="json").json()
    withdrawn = careful.as_("bob").post(f"/api/limits/{shown['account_pending']['id']}/reject")
    assert withdrawn.json()["approval"] == "rejected"
    assert careful.as_("bob").get(path).json()["effective"]["max_order_value"] == "70.00000000"


@pytest.mark.parametrize("path", ["platform/limits", "instruments/AAA/limits"])
def test_what_holds_everywhere_is_shown_waiting_and_decided_by_other_staff(careful: World, path: str) -> None:
    careful.users["stanley"] = get_user_model().objects.create_user("stanley", is_staff=True)
    steffi, before = careful.as_("steffi"), careful.as_("steffi").get(f"/api/{path}").json()
    shown = steffi.put(f"/api/{path}", {"max_order_value": "70"}, format="json").json()
    assert shown["current"] == before["current"] and shown["pending"]["created_by"] == "steffi"
    assert steffi.get(f"/api/{path}").json() == shown
    seen = careful.as_("victor").get(f"/api/portfolios/{careful.desk.portfolio.id}/limits").json()
    assert seen["platform_pending"] == (shown["pending"] if path.startswith("platform") else None)
    decide = f"/api/limits/{shown['pending']['id']}/approve"
    for who, status, code in (("steffi", 409, "four_eyes"), ("alice", 403, "staff_required")):
        answer = careful.as_(who).post(decide)
        assert (answer.status_code, answer.json()["code"]) == (status, code), who
    assert careful.as_("stanley").post(decide).status_code == 200
    after = steffi.get(f"/api/{path}").json()
    assert (after["current"]["values"]["max_order_value"], after["pending"]) == ("70.00000000", None)


def test_looser_lists_are_shown_waiting_and_decided_by_another(careful: World) -> None:
    path = f"/api/portfolios/{careful.desk.portfolio.id}/permissions"
    strict = {"permitted": [], "restricted": {"CCC": "Compliance"}}
    assert careful.as_("bob").put(path, strict, format="json").json()["pending"] is None
    shown = careful.as_("alice").put(path, {"permitted": [], "restricted": {}}, format="json").json()
    assert shown["restricted"] == {"CCC": "Compliance"}
    waiting = shown["pending"]
    assert (waiting["restricted"], waiting["created_by"], waiting["approval"]) == ({}, "alice", "waiting")
    (row,) = careful.as_("bob").get("/api/approvals").json()
    assert (row["kind"], row["path"]) == ("permissions", f"/api/permissions/{waiting['id']}")
    for who, status, code in (
        ("alice", 409, "four_eyes"),
        ("charlie", 404, "not_found"),
        ("victor", 403, "role_required"),
    ):
        answer = careful.as_(who).post(f"{row['path']}/approve")
        assert (answer.status_code, answer.json()["code"]) == (status, code), who
    assert careful.as_("bob").post(f"{row['path']}/approve").json()["decided_by"] == "bob"
    shown = careful.as_("victor").get(path).json()
    assert (shown["restricted"], shown["pending"]) == ({}, None)


def test_a_sessions_limits_and_those_of_nobody_are_not_decided_on(careful: World) -> None:
    row = set_limits(
        scope="session", scope_id=careful.desk.session.id, values={"max_order_value": Decimal(1)},
        actor=careful.users["bob"], portfolio_id=careful.desk.portfolio.id,
    )  # fmt: skip
    for who in ("alice", "charlie", "steffi"):
        for key in (row.id, UUID(int=7)):
            assert careful.as_(who).post(f"/api/limits/{key}/reject").status_code == 404


def _propose(world: World, scope: str, scope_id: Any) -> None:
    set_limits(
        scope=scope, scope_id=scope_id, values={"max_order_value": Decimal(1)}, actor=world.users["bob"]
    )


def test_only_its_owner_asks_for_four_eyes_and_only_a_superuser_ends_them(careful: World) -> None:
    careful.users["dora"] = get_user_model().objects.create_superuser("dora")
    path = f"/api/portfolios/{careful.desk.portfolio.id}/four-eyes"
    refused = careful.as_("bob").post(path, {"enabled": True}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    refused = careful.as_("alice").post(path, {"enabled": False}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_required")
    assert careful.as_("dora").post(path, {"enabled": False}, format="json").json()["four_eyes"] is False


def test_a_live_account_shows_as_four_eyes_for_good(world: World) -> None:
    path = f"/api/portfolios/{world.desk.portfolio.id}"
    assert world.as_("alice").get(path).json()["portfolio"]["four_eyes"] is False
    BrokerAccount.objects.filter(portfolio=world.desk.portfolio).update(broker="alpaca", is_live=True)
    assert world.as_("alice").get(path).json()["portfolio"]["four_eyes"] is True
    world.users["dora"] = get_user_model().objects.create_superuser("dora")
    refused = world.as_("dora").post(f"{path}/four-eyes", {"enabled": False}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "live_account")
