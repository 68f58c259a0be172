"""Who may do what: each route, asked by somebody of each column of docs/roles.md, answers as it is written there."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator

from portfolios.models import BrokerAccount
from portfolios.services.portfolios import set_member
from tests.harness.roles_table import MEMBERS, Row, by_operation
from tests.integration.api.calls import CALLS, Call
from tests.integration.api.conftest import World
from trading.models import Halt
from trading.services import emergency_stop

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Identity:
    """`column`: of the table; None: somebody who is not logged in."""

    name: str | None
    column: str | None


IDENTITIES = [
    Identity("victor", "viewer"),
    Identity("tara", "trader"),
    Identity("bob", "risk_officer"),
    Identity("alice", "owner"),
    Identity("steffi", "staff"),
    Identity("susan", "superuser"),
    Identity("charlie", "outsider"),
    Identity(None, None),
]
MEMBERS_AND_SUPERUSERS = {*MEMBERS, "superuser"}


@pytest.fixture(scope="session")
def operation_ids() -> dict[tuple[type, str], str]:
    """By view and method. Made before the world, whose open transaction may not wait long for anything."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    generator = SchemaGenerator()
    generator._initialise_endpoints()
    return {
        (type(view), method.lower()): paths[path][method.lower()]["operationId"]
        for path, _, method, view in generator._get_paths_and_endpoints()
        if path in paths
    }


def expected(call: Call, row: Row, who: Identity) -> int:
    """The status that the document promises, and what the call says of those who have done something before."""
    if who.column is None:
        return call.status if row.action == "log_in" else 401
    cell = row.cells[who.column]
    if who.name in call.beside:
        return call.beside[who.name]
    if cell == "yes" or (cell == "own" and who.name == call.author):
        return call.beside.get("*", call.status)
    if call.of_hers:
        return 403 if who.column in MEMBERS_AND_SUPERUSERS else 404
    return (
        call.status if row.action in {"view", "follow"} else 403
    )  # lists are for all, and hold what is one's own


@pytest.mark.parametrize("who", IDENTITIES, ids=lambda who: who.column or "stranger")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.route)
def test_each_route_answers_as_it_is_written(
    operation_ids: dict[tuple[type, str], str], world: World, call: Call, who: Identity
) -> None:
    answer: Any = call.send(world, who.name)
    view = resolve(answer.wsgi_request.path).func.view_class  # type: ignore[attr-defined]
    row = by_operation()[operation_ids[view, call.method]]
    assert answer.status_code == expected(call, row, who), answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
    if answer.status_code == 404:
        assert answer.json()["code"] == "not_found"
    if answer.status_code == 403 and row.action != "push_advice":
        assert answer.json()["code"] == ("role_required" if call.of_hers else "staff_required")


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
    call = next(call for call in CALLS if call.path.endswith("/activate"))
    assert call.send(world, "victor").status_code == 403
    set_member(
        portfolio=world.desk.portfolio, user=world.users["victor"], role="trader", actor=world.users["alice"]
    )
    assert call.send(world, "victor").status_code == 200
