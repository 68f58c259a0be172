"""Sources of advice over REST: staff make and change them, and only the pusher they name may push."""

from datetime import date, timedelta
from typing import Any

import pytest
from rest_framework.response import Response

from journal.models import Entry
from market.models import RecommendationSource, SourceScore
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


def score(day: date, count: int, hits: int, name: str = "BUY", confidence: float = 0.8) -> None:
    SourceScore.objects.create(
        source_id="test", day=day, recommendation=name, bin=int(confidence * 10), count=count, hits=hits,
        sum_confidence=confidence * count,
        sum_squared_error=hits * (1 - confidence) ** 2 + (count - hits) * confidence**2,
    )  # fmt: skip


def calibration(world: World, query: str = "", name: str = "test") -> Response:
    return world.as_("charlie").get(f"/api/recommendation-sources/{name}/calibration{query}")


def test_everybody_sees_whether_advice_comes_true(world: World) -> None:
    today = world.market.as_of.date()
    score(today, 10, 8)
    score(today, 10, 3, "SELL", 0.6)
    score(today - timedelta(days=365), 10, 0)  # beyond a year
    shown = calibration(world).json()
    assert (shown["overall"]["count"], shown["overall"]["hits"], shown["overall"]["hit_rate"]) == (
        20,
        11,
        0.55,
    )
    assert shown["brier"] == pytest.approx(0.23) and shown["calibration_error"] == pytest.approx(0.15)
    assert [(row["confidence_from"], row["rate"]["hit_rate"]) for row in shown["table"]] == [
        (0.6, 0.3),
        (0.8, 0.8),
    ]
    assert (shown["classes"]["BUY"]["hit_rate"], shown["classes"]["STRONG_BUY"]["hit_rate"]) == (0.8, None)


def test_of_the_days_that_are_asked_for(world: World) -> None:
    for day in (1, 2, 3):
        score(date(2010, 2, day), day, 1)
    assert calibration(world, "?from=2010-02-02").json()["overall"]["count"] == 5
    assert calibration(world, "?from=2010-02-02&to=2010-02-02").json()["overall"]["count"] == 2


def test_before_the_first_outcome_it_is_unknown(world: World) -> None:
    shown = calibration(world).json()
    assert (shown["brier"], shown["overall"]["hit_rate"], shown["table"], shown["waiting"]) == (
        None,
        None,
        [],
        0,
    )


def test_the_first_day_of_all_is_a_day(world: World) -> None:
    assert calibration(world, "?to=0001-01-01").json()["overall"]["count"] == 0


def test_a_day_that_is_none_and_a_source_that_is_none(world: World) -> None:
    answer = calibration(world, "?from=yesterday")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "from")
    assert calibration(world, name="oracle").status_code == 404
