"""Every limit on every scope that people set over REST, and the lists of instruments."""

from typing import Any

import pytest

from journal.core.events import PLATFORM_STREAM
from journal.models import Entry
from market.models import Instrument
from portfolios.core.limits import CATALOGUE
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def last_kind(stream: Any) -> str:
    return Entry.objects.filter(stream_id=stream).order_by("-seq").values_list("kind", flat=True)[0]


def test_the_catalogue_tells_each_limits_unit_and_direction(world: World) -> None:
    rows = world.as_("charlie").get("/api/limits").json()
    assert [row["name"] for row in rows] == [spec.name for spec in CATALOGUE]
    by_name = {row["name"]: row for row in rows}
    assert by_name["max_order_value"] == {
        "name": "max_order_value", "meaning": "Largest value of one order", "unit": "base currency",
        "default": "100000.00000000", "higher_is_tighter": False, "open_end": None,
    }  # fmt: skip
    assert by_name["min_volume"]["higher_is_tighter"] is True
    assert by_name["max_correlation"]["open_end"] == "1.00000000"


def test_the_platforms_limits_are_a_new_version_as_a_whole(world: World) -> None:
    steffi = world.as_("steffi")
    before = steffi.get("/api/platform/limits").json()["current"]
    values = before["values"] | {"max_order_value": "5000"}
    after = steffi.put("/api/platform/limits", values, format="json").json()["current"]
    assert (after["version"], after["created_by"]) == (before["version"] + 1, "steffi")
    assert after["values"] == before["values"] | {"max_order_value": "5000.00000000"}
    assert last_kind(PLATFORM_STREAM) == "limits.set"
    limits = world.as_("victor").get(f"/api/portfolios/{world.desk.portfolio.id}/limits").json()
    assert limits["effective"]["max_order_value"] == "5000.00000000"


def test_an_accounts_limits_hold_for_its_portfolio_alone(world: World) -> None:
    bob, path = world.as_("bob"), f"/api/portfolios/{world.desk.portfolio.id}"
    assert bob.get(f"{path}/account-limits").json()["account"] is None
    limits = bob.put(f"{path}/account-limits", {"max_order_value": "700"}, format="json").json()
    assert (limits["account"]["version"], limits["account"]["created_by"]) == (1, "bob")
    assert limits["effective"]["max_order_value"] == "700.00000000"
    assert limits["versions"].endswith(" account:1")
    assert limits == bob.get(f"{path}/limits").json() == bob.get(f"{path}/account-limits").json()
    assert last_kind(world.desk.portfolio.id) == "limits.set"
    other = bob.get(f"/api/portfolios/{world.idle.id}/limits").json()
    assert other["account"] is None and other["effective"]["max_order_value"] != "700.00000000"


def test_a_looser_limit_is_accepted_and_has_no_effect(world: World) -> None:
    path = f"/api/portfolios/{world.desk.portfolio.id}/account-limits"
    limits = world.as_("bob").put(path, {"max_order_value": "900000"}, format="json").json()
    assert limits["account"]["values"]["max_order_value"] == "900000.00000000"
    assert limits["effective"]["max_order_value"] == limits["platform"]["values"]["max_order_value"]


def test_an_instruments_limits_whatever_it_is_called(world: World) -> None:
    steffi = world.as_("steffi")
    example = Instrument.objects.get(symbol="AAA")
    Instrument.objects.create(
        symbol="BTC/USD", name="Coin", exchange=example.exchange, tick_size=1, lot_size=1
    )
    for symbol in ("AAA", "BTC/USD"):
        path = f"/api/instruments/{symbol}/limits"
        assert steffi.get(path).json() == {"current": None, "pending": None}
        for version in (1, 2):
            body = {"max_spread_bps": str(version)}
            current = steffi.put(path, body, format="json").json()["current"]
            assert (current["version"], current["created_by"]) == (version, "steffi")
        assert steffi.get(path).json()["current"]["values"]["max_spread_bps"] == "2.00000000"
    assert last_kind(PLATFORM_STREAM) == "limits.set"
    answer = steffi.get("/api/instruments/AAB/limits")
    assert (answer.status_code, "AAB" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    "path", ["platform/limits", "instruments/AAA/limits", "portfolios/{}/account-limits"]
)
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"max_order_valu": "1"}, "max_order_valu"),
        ({"max_order_value": "-1"}, "max_order_value"),
        ({"max_order_value": "many"}, "max_order_value"),
    ],
)
def test_a_limit_that_is_none_is_refused_on_every_scope(
    world: World, path: str, body: dict[str, str], fault: str
) -> None:
    who = "bob" if "{}" in path else "steffi"
    answer = world.as_(who).put("/api/" + path.format(world.desk.portfolio.id), body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, fault)


@pytest.mark.parametrize(
    "path", ["platform/limits", "instruments/AAA/limits", "portfolios/{}/account-limits"]
)
def test_an_empty_version_is_refused(world: World, path: str) -> None:
    who = "bob" if "{}" in path else "steffi"
    answer = world.as_(who).put("/api/" + path.format(world.desk.portfolio.id), {}, format="json")
    assert (answer.status_code, "at least one" in answer.json()["detail"]) == (400, True)


# --- instruments -------------------------------------------------------------------------------------


def test_the_lists_are_replaced_as_a_whole_and_shown_with_the_platforms(world: World) -> None:
    bob, path = world.as_("bob"), f"/api/portfolios/{world.desk.portfolio.id}/permissions"
    nothing = {"permitted": [], "restricted": {}, "pending": None}
    assert world.as_("victor").get(path).json() == nothing | {"platform": nothing}
    everywhere = {"permitted": [], "restricted": {"CCC": "Sanctions"}}
    answer = world.as_("steffi").put("/api/platform/permissions", everywhere, format="json").json()
    everywhere["pending"] = None
    assert answer == everywhere
    lists = {"permitted": ["BBB", "AAA"], "restricted": {"CCC": ""}}
    shown = bob.put(path, lists, format="json").json()
    assert shown == nothing | {
        "permitted": ["AAA", "BBB"], "restricted": {"CCC": ""}, "platform": everywhere
    }  # fmt: skip
    assert last_kind(world.desk.portfolio.id) == "permissions.set"
    shown = bob.put(path, {"permitted": ["AAA"], "restricted": {}}, format="json").json()
    assert shown == nothing | {"permitted": ["AAA"], "platform": everywhere}
    assert world.as_("steffi").get("/api/platform/permissions").json() == everywhere


@pytest.mark.parametrize(
    ("body", "path", "told"),
    [
        ({"permitted": ["AAA", "AAB"]}, "permitted[1]", "There is no instrument 'AAB'."),
        ({"restricted": {"AAB": "why"}}, "restricted.AAB", "There is no instrument 'AAB'."),
        ({"permitted": ["AAA"], "restricted": {"AAA": "why"}}, "permitted[0]", "keep it in one of the lists"),
        ({"restricted": {"AAA": "x" * 256}}, "restricted.AAA", "255 characters"),
        ({"permitted": "AAA"}, "permitted", "list"),
        ({"restricted": ["AAA"]}, "restricted", "dictionary"),
        ({"permited": ["AAA"]}, "permited", "Did you mean permitted?"),
    ],
)
def test_lists_that_are_none_are_told_where_and_how_to_mend_them(
    world: World, body: dict[str, Any], path: str, told: str
) -> None:
    address = f"/api/portfolios/{world.desk.portfolio.id}/permissions"
    whole = {"permitted": [], "restricted": {}} | body
    answer = world.as_("bob").put(address, whole, format="json")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["path"]) == (400, path)
    assert told in error["message"]


def test_a_list_that_is_left_out_is_asked_for(world: World) -> None:
    """It would be emptied otherwise."""
    address = f"/api/portfolios/{world.desk.portfolio.id}/permissions"
    answer = world.as_("bob").put(address, {"permitted": ["AAA"]}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "restricted")


def test_what_is_restricted_over_rest_is_not_bought(world: World) -> None:
    world.market.tick()
    address = f"/api/portfolios/{world.desk.portfolio.id}/permissions"
    world.as_("bob").put(address, {"permitted": [], "restricted": {"CCC": "Compliance"}}, format="json")
    order = {
        "portfolio_id": str(world.desk.portfolio.id), "symbol": "CCC", "trade_type": "buy", "quantity": "10",
    }  # fmt: skip
    problem = world.as_("tara").post("/api/auto-trading/trades", order, format="json").json()
    assert problem["code"] == "NOT_PERMITTED" and "restricted: Compliance" in problem["detail"]
