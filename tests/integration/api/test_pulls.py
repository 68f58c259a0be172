"""From where advice is pulled, over REST: staff alone, and nowhere that only we can reach."""

from typing import Any

import pytest
from rest_framework.response import Response

from journal.models import Entry
from market.models import RecommendationPull, RecommendationSource
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
URL, TOKEN = "https://advice.example/today.json", "known-to-nobody-else"


@pytest.fixture(autouse=True)
def desk(world: World) -> RecommendationSource:
    return RecommendationSource.objects.create(name="desk")


def put(world: World, name: str = "desk", who: str = "steffi", **body: Any) -> Response:
    path = f"/api/recommendation-sources/{name}/pull"
    return world.as_(who).put(path, {"url": URL, **body}, format="json")


def test_it_is_shown_without_its_token_to_staff_alone(world: World) -> None:
    answer = put(world, every_seconds=300, token=TOKEN)
    assert answer.status_code == 200
    shown = world.as_("steffi").get("/api/recommendation-sources/desk/pull")
    assert (shown.json()["url"], shown.json()["every_seconds"], shown.json()["has_token"]) == (URL, 300, True)
    everything = (
        answer.content + shown.content + "".join(Entry.objects.values_list("payload", flat=True)).encode()
    )
    assert TOKEN.encode() not in everything
    assert world.as_("alice").get("/api/recommendation-sources/desk/pull").status_code == 403


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "http://advice.example/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://user:secret@advice.example/"}, "url"),
        ({"url": "https://advice.example:5432/"}, "url"),
        ({"every_seconds": 9}, "every_seconds"),
        ({"every_seconds": 86_401}, "every_seconds"),
        ({"token": "two words"}, "token"),
        ({"tokn": TOKEN}, "tokn"),
    ],
)
def test_an_error_names_its_field_and_nothing_is_stored(
    world: World, body: dict[str, Any], path: str
) -> None:
    answer = put(world, **body)
    assert (answer.status_code, [error["path"] for error in answer.json()["errors"]]) == (400, [path])
    assert b"secret" not in answer.content
    assert not RecommendationPull.objects.exists()


def test_a_source_is_pushed_or_pulled_or_built_in(world: World) -> None:
    RecommendationSource.objects.get_or_create(name="baseline")
    codes = [put(world, name).json()["code"] for name in ("test", "baseline")]
    assert codes == ["has_pusher", "built_in"]
    put(world)
    answer = world.as_("steffi").put("/api/recommendation-sources/desk", {"pusher": "alice"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "is_pulled")


def test_without_a_sealing_key_no_token_is_kept(world: World, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = {}
    assert put(world, token=TOKEN).json()["code"] == "no_sealing_key"
    assert put(world).status_code == 200


def test_removed_it_is_there_no_more(world: World) -> None:
    put(world)
    client = world.as_("steffi")
    assert client.delete("/api/recommendation-sources/desk/pull").status_code == 204
    assert client.delete("/api/recommendation-sources/desk/pull").status_code == 404
    assert client.get("/api/recommendation-sources/desk/pull").status_code == 404
    kinds = Entry.objects.filter(kind__startswith="recommendation_source.pull").order_by("seq")
    assert [entry.kind.rpartition(".")[2] for entry in kinds] == ["pull_set", "pull_removed"]
