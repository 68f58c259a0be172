"""A misspelt filter must not be answered with every row: what a query string may hold is what the schema says."""

import json
import re
from pathlib import Path

import pytest

from tests.integration.api.calls import CALLS, Call
from tests.integration.api.conftest import World
from tests.integration.api.test_lists import url, with_query

pytestmark = pytest.mark.integration


def template(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path.removeprefix("/api/").split("?")[0])


PARAMETERS = {
    template(path): [each for each in methods["get"].get("parameters", []) if each["in"] == "query"]
    for path, methods in json.loads(Path("docs/openapi.json").read_text())["paths"].items()
    if "get" in methods
}


def documented(call: Call, kind: str | None = None) -> set[str]:
    """The names of what its query string may hold; `kind`: only those of that type."""
    rows = PARAMETERS[template(call.path)]
    return {each["name"] for each in rows if kind is None or kind in each["schema"].get("type", ())}


ASKED = {
    call.route: call for call in CALLS if call.method == "get" and template(call.path) in PARAMETERS
}.values()
FLAGGED = [call for call in ASKED if documented(call, "boolean")]


@pytest.mark.parametrize("call", ASKED, ids=lambda call: call.route)
def test_what_is_not_known_is_refused_with_all_that_is(world: World, call: Call) -> None:
    answer = world.as_(call.by).get(with_query(url(world, call), {"colour": "red"}))
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()["errors"]
    assert (answer.json()["code"], error["path"]) == ("invalid_input", "colour")
    known = documented(call)
    told = error["message"].removeprefix("Unknown parameter. ")
    assert told == "None is taken here." if not known else told.startswith("Known are: ")
    assert not known or set(told.removeprefix("Known are: ").removesuffix(".").split(", ")) == known


def test_a_misspelt_filter_is_told_what_was_meant(world: World) -> None:
    answer = world.as_("alice").get(f"/api/auto-trading/trades/{world.desk.portfolio.id}", {"simbol": "AAA"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["suggestion"] == "symbol"
    assert "simbol" in answer.json()["detail"]


def test_a_second_value_is_refused_where_one_is_taken(world: World) -> None:
    alice, path = world.as_("alice"), f"/api/auto-trading/trades/{world.desk.portfolio.id}"
    several = alice.get(path, {"status": ["filled", "pending"]})
    assert {row["status"] for row in several.json()["results"]} == {"filled", "pending"}
    answer = alice.get(path, {"symbol": ["AAA", "BBB"]})
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == ["symbol"]


@pytest.mark.parametrize("call", FLAGGED, ids=lambda call: call.route)
def test_a_flag_is_true_or_false_and_no_other_word(world: World, call: Call) -> None:
    client, path = world.as_(call.by), url(world, call)
    for name in documented(call, "boolean"):
        for value in ("true", "False", "1", "0"):
            assert client.get(with_query(path, {name: value})).status_code == 200
        answer = client.get(with_query(path, {name: "maybe"}))
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, name)


@pytest.mark.parametrize("size", ["x", "0", "-1", "1.5", "٣"])
def test_a_page_has_a_number_of_rows(world: World, size: str) -> None:
    answer = world.as_("alice").get("/api/portfolios", {"page_size": size})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "page_size")


def test_nobody_is_told_who_is_not_logged_in(world: World) -> None:
    answer = world.as_(None).get(f"/api/auto-trading/trades/{world.desk.portfolio.id}", {"simbol": "AAA"})
    assert answer.status_code == 401
