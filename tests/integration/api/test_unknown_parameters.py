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


DOCUMENTED = {
    template(path): {each["name"] for each in methods["get"].get("parameters", []) if each["in"] == "query"}
    for path, methods in json.loads(Path("docs/openapi.json").read_text())["paths"].items()
    if "get" in methods
}
ASKED = [call for call in CALLS if call.method == "get" and DOCUMENTED[template(call.path)]]


@pytest.mark.parametrize("call", {call.route: call for call in ASKED}.values(), ids=lambda call: call.route)
def test_what_is_not_known_is_refused_with_all_that_is(world: World, call: Call) -> None:
    answer = world.as_(call.by).get(with_query(url(world, call), {"colour": "red"}))
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()["errors"]
    assert (answer.json()["code"], error["path"]) == ("invalid_input", "colour")
    known = error["message"].removeprefix("Unknown parameter. Known are: ").removesuffix(".").split(", ")
    assert set(known) == DOCUMENTED[template(call.path)]


def test_a_misspelt_filter_is_told_what_was_meant(world: World) -> None:
    answer = world.as_("alice").get(f"/api/auto-trading/trades/{world.desk.portfolio.id}", {"simbol": "AAA"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["suggestion"] == "symbol"
    assert "simbol" in answer.json()["detail"]


def test_nobody_is_told_who_is_not_logged_in(world: World) -> None:
    answer = world.as_(None).get(f"/api/auto-trading/trades/{world.desk.portfolio.id}", {"simbol": "AAA"})
    assert answer.status_code == 401
