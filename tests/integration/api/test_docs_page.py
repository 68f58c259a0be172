"""The API's documentation works without any host but ours, and the API answers in JSON whatever is asked for."""

import json
import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from foundation.api.document import openapi_json
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


class _References(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline_scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = [value for name, value in attrs if name in {"src", "href"} and value]
        self.found += named
        self.inline_scripts += tag == "script" and not named


def test_the_page_names_only_files_of_ours_which_are_there(client: Client, db: None) -> None:
    page = client.get("/api/docs")
    references = _References(page.content.decode())
    assert len(references.found) >= 5 and references.inline_scripts == 0
    for name in references.found:
        assert name.startswith("/") and not name.startswith("//"), name
        answer = client.get(name)
        assert answer.status_code == 200, name
        content = b"".join(answer).decode(errors="replace")
        answer.close()
        if name.endswith(".css"):
            assert re.findall(r"""url\((?!["']?(?:data:|#))[^)]*\)""", content) == []
    policy = page["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "http" not in policy


def test_its_script_asks_for_our_schema_and_no_validator(client: Client, db: None) -> None:
    references = _References(client.get("/api/docs").content.decode())
    (script,) = [name for name in references.found if "script=" in name]
    answer = client.get(script)
    assert answer["Content-Type"].startswith("application/javascript")
    assert 'url: "/api/schema"' in answer.content.decode().replace("\\u002D", "-")
    assert '"validatorUrl": null' in answer.content.decode()
    assert "http://" not in answer.content.decode() and "https://" not in answer.content.decode()


@pytest.mark.parametrize(
    "wanted", ["text/html", "application/xml;q=0.9", "application/json;version=2", "nonsense"]
)
def test_json_is_answered_whatever_is_asked_for(world: World, wanted: str) -> None:
    for path, status in (("/api/me", 200), ("/api/portfolios/nowhere", 404), ("/api/market/bars", 400)):
        answer = world.as_("alice").get(path, headers={"Accept": wanted})
        assert answer.status_code == status
        assert answer["Content-Type"].split(";")[0] in {"application/json", "application/problem+json"}
    refused = world.as_("alice").get("/api/me?format=xml", headers={"Accept": wanted})
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/problem+json")


def test_the_schema_is_json_and_yaml_for_who_asks_for_it(client: Client, db: None) -> None:
    for wanted in ("*/*", "text/html", "application/json"):
        answer = client.get("/api/schema", headers={"Accept": wanted})
        assert answer.status_code == 200 and answer.json() == json.loads(openapi_json())
    for answer in (
        client.get("/api/schema?format=yaml"), client.get("/api/schema", headers={"Accept": "application/yaml"}),
    ):  # fmt: skip
        assert answer.content.startswith(b"openapi: 3.1.0")
