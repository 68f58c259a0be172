"""Protections of positions over REST: where they are now, how they are set, and what is refused."""

from decimal import Decimal

import pytest

from tests.integration.api.conftest import World
from trading.models import Protection

pytestmark = pytest.mark.integration


def path(world: World, symbol: str = "AAA") -> str:
    return f"/api/portfolios/{world.desk.portfolio.id}/protections/{symbol}"


def test_a_protection_shows_its_thresholds_and_how_far_they_are(world: World) -> None:
    body = {"stop_loss_percentage": "5", "trailing_stop_percentage": "10"}
    answer = world.as_("tara").put(path(world), body, format="json")
    assert answer.status_code == 200, answer.content
    (listed,) = world.as_("victor").get(path(world, "").rstrip("/")).json()["results"]
    assert listed == answer.json()
    assert (listed["symbol"], listed["actor"], listed["refusal"]) == ("AAA", "user:tara", "")
    assert (Decimal(listed["quantity"]), Decimal(listed["price"])) == (50, 100)
    assert listed["take_profit_percentage"] is None
    loss, trail = listed["thresholds"]
    assert (loss["kind"], trail["kind"]) == ("stop_loss", "trailing_stop")
    assert Decimal(loss["reference_price"]) == Decimal(listed["average_cost"]) == Decimal("100.12")
    assert Decimal(loss["price"]) == Decimal("95.114")
    assert Decimal(loss["distance_percentage"]) == Decimal("4.886")
    assert [Decimal(trail[name]) for name in ("reference_price", "price", "distance_percentage")] == [
        100,
        90,
        10,
    ]


def test_a_stale_price_is_not_shown_as_one(world: World) -> None:
    world.market.price_age_seconds = 121
    world.market.tick()
    shown = world.as_("alice").put(path(world), {"take_profit_percentage": "5"}, format="json").json()
    assert shown["price"] is None
    assert [row["distance_percentage"] for row in shown["thresholds"]] == [None]


def test_what_is_left_out_is_no_longer_protected(world: World) -> None:
    alice = world.as_("alice")
    alice.put(path(world), {"stop_loss_percentage": "5", "take_profit_percentage": "9"}, format="json")
    shown = alice.put(
        path(world), {"take_profit_percentage": 9, "stop_loss_percentage": None}, format="json"
    ).json()
    assert (shown["stop_loss_percentage"], Decimal(shown["take_profit_percentage"])) == (None, 9)
    assert alice.delete(path(world)).status_code == 204
    assert alice.delete(path(world)).status_code == 404
    assert not Protection.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stop_loss_percentage": "100"}, "stop_loss_percentage"),
        ({"stop_los_percentage": "5"}, "stop_los_percentage"),
        ({"take_profit_percentage": "NaN"}, "take_profit_percentage"),
        ({"trailing_stop_percentage": "0"}, "trailing_stop_percentage"),
        ({}, ""),
    ],
)
def test_a_bad_body_is_refused_with_its_field(world: World, body: dict[str, str], field: str) -> None:
    answer = world.as_("alice").put(path(world), body, format="json")
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [field]
    assert not Protection.objects.exists()


def test_what_is_not_held_is_not_protected(world: World) -> None:
    answer = world.as_("alice").put(path(world, "CCC"), {"stop_loss_percentage": "5"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_position")
    assert (
        world.as_("alice").put(path(world, "XYZ"), {"stop_loss_percentage": "5"}, format="json").status_code
        == 404
    )


def test_a_trade_shows_what_it_carries(world: World) -> None:
    (shown, *_) = (
        world.as_("alice").get(f"/api/auto-trading/trades/{world.desk.portfolio.id}").json()["results"]
    )
    assert shown["stop_loss_percentage"] is None and "trailing_stop_percentage" in shown
