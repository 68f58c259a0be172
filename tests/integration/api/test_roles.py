"""Who may do what: Victor looks, Tara trades, Bob guards, Alice owns, Steffi is staff without a membership."""

import pytest

from portfolios.models import BrokerAccount
from portfolios.services.portfolios import set_member
from tests.integration.api.calls import CALLS, OF_STAFF, Call
from tests.integration.api.conftest import World
from trading.models import Halt
from trading.services import emergency_stop

pytestmark = pytest.mark.integration

WRITES = [call for call in CALLS if call.of_hers and call.method != "get"]
READS = [call for call in CALLS if call.of_hers and call.method == "get"]
ids = {"ids": lambda call: call.route}


def may(call: Call, who: str) -> bool:
    """The roles as the design has them."""
    if "{version}" in call.path:  # Tara may withdraw the rule's version, which she proposed herself
        return who == "bob" or (call.path.startswith("auto-trading/") and call.path.endswith("/reject"))
    if call.path.endswith("/settle"):
        return who == "bob"
    if call.path.startswith("auto-trading/"):
        return who == "tara"
    if call.path.startswith("emergency-stop"):
        return True
    if call.path.endswith("/explain"):
        return who == "bob"
    if "/protections/" in call.path or call.path.endswith("/reconcile"):
        return True
    if call.path.startswith(("limits/", "permissions/")):
        return who == "bob"
    return who == "bob" and call.path.endswith(("limits", "permissions"))


@pytest.mark.parametrize("call", READS, **ids)
def test_a_viewer_reads_everything(world: World, call: Call) -> None:
    assert call.send(world, "victor").status_code == 200


@pytest.mark.parametrize("call", WRITES, **ids)
def test_a_viewer_changes_nothing(world: World, call: Call) -> None:
    answer = call.send(world, "victor")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("who", ["tara", "bob"])
@pytest.mark.parametrize("call", WRITES, **ids)
def test_trader_and_risk_officer_each_keep_to_their_own(world: World, call: Call, who: str) -> None:
    # Bob may release a stop, but not this one, which he armed himself.
    permitted = 409 if who == "bob" and "{halt}" in call.path else call.status
    assert call.send(world, who).status_code == (permitted if may(call, who) else 403)


@pytest.mark.parametrize("call", OF_STAFF, **ids)
def test_what_holds_in_every_portfolio_is_for_staff(world: World, call: Call) -> None:
    answer = call.send(world, "alice")
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_required")


@pytest.mark.parametrize("scope", ["platform", "symbol", "account"])
def test_only_staff_stop_what_is_everybodys(world: World, scope: str) -> None:
    account = BrokerAccount.objects.get(portfolio=world.desk.portfolio)
    scope_id = {"platform": "", "symbol": "AAA", "account": str(account.id)}[scope]
    body = {"scope": scope, "scope_id": scope_id, "reason": "Drill"}
    refused = world.as_("alice").post("/api/emergency-stop", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_required")
    assert world.as_("steffi").post("/api/emergency-stop", body, format="json").status_code == 201
    halt = Halt.objects.get(scope=scope)
    refused = world.as_("alice").post(f"/api/emergency-stop/{halt.id}/release")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_required")


def test_a_breakers_stop_needs_a_risk_officer(world: World) -> None:
    halt = emergency_stop.arm(
        scope="portfolio", scope_id=str(world.desk.portfolio.id), reason="Daily loss", actor=None
    )
    assert world.as_("alice").post(f"/api/emergency-stop/{halt.id}/release").status_code == 403
    assert world.as_("bob").post(f"/api/emergency-stop/{halt.id}/release").status_code == 200


def test_nobody_releases_his_own_stop(world: World) -> None:
    answer = world.as_("bob").post(f"/api/emergency-stop/{world.halt.id}/release")
    assert (answer.status_code, answer.json()["code"]) == (409, "four_eyes")


def test_only_the_sources_pusher_pushes(world: World) -> None:
    body = {
        "source": "test",
        "recommendations": [
            {"external_id": "x", "symbol": "AAA", "recommendation": "BUY", "confidence": 0.7}
        ],
    }
    assert world.as_("bob").post("/api/recommendations", body, format="json").status_code == 403


def test_a_role_counts_from_the_moment_it_is_given(world: World) -> None:
    call = next(call for call in WRITES if call.path.endswith("/activate"))
    assert call.send(world, "victor").status_code == 403
    set_member(
        portfolio=world.desk.portfolio, user=world.users["victor"], role="trader", actor=world.users["alice"]
    )
    assert call.send(world, "victor").status_code == 200
