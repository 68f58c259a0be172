"""Sources of advice over REST: staff make and change them, and only the pusher they name may push."""

from typing import Any

import pytest
from rest_framework.response import Response

from journal.models import Entry
from market.models import RecommendationSource
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
ITEM = {"external_id": "one", "symbol": "AAA", "recommendation": "BUY", "confidence": 0.7}


def make(world: World, who: str = "steffi", **body: Any) -> Response:
    return world.as_(who).post("/api/recommendation-sources", {"name": "desk", **body}, format="json")


def change(world: World, name: str = "desk", **body: Any) -> Response:
    return world.as_("steffi").put(f"/api/recommendation-sources/{name}", body, format="json")


def push(world: World, who: str) -> int:
    body = {"source": "desk", "recommendations": [ITEM]}
    return world.as_(who).post("/api/recommendations", body, format="json").status_code


def test_from_its_making_on_its_pusher_may_push_and_nobody_else(world: World) -> None:
    answer = make(world, description="Our research", pusher="alice")
    assert (answer.status_code, answer.json()) == (201, {"name": "desk", "description": "Our research"})
    assert (push(world, "bob"), push(world, "alice")) == (403, 201)
    listed = world.as_("charlie").get("/api/recommendation-sources").json()["results"]
    assert "desk" in [row["name"] for row in listed]


def test_another_pusher_takes_over(world: World) -> None:
    make(world, pusher="alice")
    assert change(world, pusher="bob").status_code == 200
    assert (push(world, "alice"), push(world, "bob")) == (403, 201)


def test_what_is_left_out_is_empty_afterwards(world: World) -> None:
    make(world, description="Our research", pusher="alice")
    change(world)
    row = RecommendationSource.objects.get(name="desk")
    assert (row.description, row.pusher) == ("", None)


def test_each_change_is_in_the_journal_with_who_did_it(world: World) -> None:
    make(world, pusher="alice")
    change(world, pusher="bob")
    kinds = ("recommendation_source.created", "recommendation_source.changed")
    entries = Entry.objects.filter(kind__in=kinds).order_by("seq")
    assert [entry.kind for entry in entries] == list(kinds)
    assert '"actor":"steffi"' in entries[1].payload and '"pusher":"bob"' in entries[1].payload


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "two words"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"pusher": "nobody"}, "pusher"),
        ({"description": "x" * 1001}, "description"),
        ({"pushr": "alice"}, "pushr"),
    ],
)
def test_an_error_names_its_field(world: World, body: dict[str, Any], path: str) -> None:
    answer = make(world, **body)
    assert (answer.status_code, [error["path"] for error in answer.json()["errors"]]) == (400, [path])
    assert not RecommendationSource.objects.filter(name="desk").exists()


def test_a_name_is_given_once(world: World) -> None:
    make(world)
    assert make(world).status_code == 409


def test_the_built_in_model_is_not_changed_and_what_is_not_there_is_not_found(world: World) -> None:
    RecommendationSource.objects.get_or_create(name="baseline")
    refused = change(world, "baseline", pusher="alice")
    assert (refused.status_code, refused.json()["code"]) == (409, "built_in")
    assert change(world, "oracle").status_code == 404
    assert world.as_("alice").get("/api/recommendation-sources/oracle").status_code == 404
