"""The table of calls is whole, each route asks for a token, and what never was is not found.

Who is answered what is in `test_roles.py`.
"""

import uuid
from dataclasses import replace

import pytest

from tests.integration.api.calls import CALLS, SPECIFIED, Call, served
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
by_route = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.route)


def test_the_table_has_every_route_that_is_served() -> None:
    assert sorted(call.route for call in CALLS) == sorted(served())


def test_the_specification_has_thirteen_endpoints() -> None:
    assert len({call.route for call in SPECIFIED}) == 13


@by_route
def test_without_a_token_nobody_gets_in(world: World, call: Call) -> None:
    if call.path == "auth/login":
        return  # which is for them
    answer = call.send(world, None)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Token"
    assert answer.json().keys() >= {"type", "title", "status", "detail", "code"}


@by_route
def test_options_is_no_method_of_any(world: World, call: Call) -> None:
    answer = replace(call, method="options").send(world, "alice")
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "auto-trading/rules/{}/details",
        "auto-trading/trades/{}",
        "auto-trading/sessions/{}/status",
        "portfolios/{}",
    ],
)
@pytest.mark.parametrize("key", [str(uuid.UUID(int=7)), "not-a-uuid", "1"])
def test_what_never_was_is_not_found(world: World, path: str, key: str) -> None:
    assert world.as_("alice").get("/api/" + path.format(key)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "portfolios",
        "recommendations",
        "emergency-stop",
        "approvals",
        "journal",
        "alerts",
        "auto-trading/session-plans",
    ],
)
def test_charlies_lists_hold_nothing_of_alices(world: World, path: str) -> None:
    shown = world.as_("charlie").get(f"/api/{path}").content.decode()
    assert str(world.desk.portfolio.id) not in shown and str(world.idle.id) not in shown


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "recommendation-sources/a%00b"),
        ("get", "recommendation-sources/a%00b/calibration"),
        ("get", "instruments/A%00A/limits"),
        ("delete", "portfolios/{portfolio}/members/vic%00tor"),
        ("delete", "portfolios/{portfolio}/protections/A%00A"),
        ("post", "auto-trading/rules/{rule}/versions/99999999999999999999/approve"),
        ("post", "portfolios/{portfolio}/limits/99999999999999999999/reject"),
    ],
)
def test_what_no_database_can_name_is_not_found(world: World, method: str, path: str) -> None:
    who = "steffi" if path.startswith("instruments") else "alice"
    answer = getattr(world.as_(who), method)(
        "/api/" + path.format(portfolio=world.desk.portfolio.id, rule=world.rule.id)
    )
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
