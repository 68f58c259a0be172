"""An owner lets people in, changes what they may do, and takes their access away."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.errors import NotFound
from journal.models import Entry
from portfolios.models import Member
from portfolios.services.portfolios import remove_member, set_four_eyes, set_member
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def path(world: World, name: str = "") -> str:
    return f"/api/portfolios/{world.desk.portfolio.id}/members" + (f"/{name}" if name else "")


def put(world: World, name: str, role: str, who: str = "alice") -> Any:
    return world.as_(who).put(path(world, name), {"role": role}, format="json")


def kinds(world: World) -> list[str]:
    rows = Entry.objects.filter(stream_id=world.desk.portfolio.id, kind__startswith="member.")
    return list(rows.order_by("seq").values_list("kind", flat=True))


def ask_for_four_eyes(world: World) -> None:
    set_four_eyes(portfolio_id=world.desk.portfolio.id, enabled=True, actor=world.users["alice"])


def test_every_member_sees_who_is_in(world: World) -> None:
    rows = world.as_("victor").get(path(world)).json()["results"]
    assert [(row["username"], row["role"]) for row in rows] == [
        ("alice", "owner"), ("bob", "risk_officer"), ("rita", "risk_officer"), ("tara", "trader"), ("victor", "viewer"),
    ]  # fmt: skip
    assert rows[0]["created_at"].endswith("Z")


def test_somebody_is_let_in_promoted_and_shut_out(world: World) -> None:
    portfolio = f"/api/portfolios/{world.desk.portfolio.id}"
    assert world.as_("charlie").get(portfolio).status_code == 404
    answer = put(world, "charlie", "viewer")
    assert (answer.status_code, answer.json()["username"], answer.json()["role"]) == (
        200,
        "charlie",
        "viewer",
    )
    assert world.as_("charlie").get(portfolio).json()["portfolio"]["role"] == "viewer"
    assert put(world, "charlie", "trader").json()["role"] == "trader"
    assert world.as_("alice").delete(path(world, "charlie")).status_code == 204
    assert world.as_("charlie").get(portfolio).status_code == 404
    assert kinds(world)[-3:] == ["member.set", "member.set", "member.removed"]
    assert '"actor":"alice"' in Entry.objects.filter(kind="member.removed").latest("id").payload


def test_the_same_again_changes_nothing(world: World) -> None:
    before = kinds(world)
    assert put(world, "victor", "viewer").status_code == 200
    assert kinds(world) == before
    again = [world.as_("alice").delete(path(world, "victor")).status_code for _ in range(2)]
    assert again == [204, 404]


@pytest.mark.parametrize("name", ["nobody", "left", "%00", "a%0Ab", "%F0%9F%92%B8"])
def test_who_is_not_there_is_not_found(world: World, name: str) -> None:
    get_user_model().objects.create_user("left", is_active=False)
    answer = put(world, name, "viewer")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("body", [{}, {"role": "king"}, {"role": None}, {"role": "viewer", "since": "today"}])
def test_what_is_no_role_is_told_at_its_field(world: World, body: dict[str, Any]) -> None:
    answer = world.as_("alice").put(path(world, "victor"), body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert {row["path"] for row in answer.json()["errors"]} <= {"role", "since"}


def test_the_last_owner_stays(world: World) -> None:
    for answer in (put(world, "alice", "viewer"), world.as_("alice").delete(path(world, "alice"))):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert put(world, "charlie", "owner").status_code == 200
    assert put(world, "alice", "viewer", who="charlie").status_code == 200
    assert put(world, "alice", "owner").status_code == 403, "no owner any more"


@pytest.mark.parametrize("role", ["risk_officer", "owner"])
@pytest.mark.parametrize("name", ["charlie", "tara"])
def test_with_four_eyes_an_owner_does_not_choose_the_second_person(
    world: World, name: str, role: str
) -> None:
    ask_for_four_eyes(world)
    answer = put(world, name, role)
    assert (answer.status_code, answer.json()["code"]) == (409, "four_eyes")
    of_hers = Member.objects.filter(portfolio=world.desk.portfolio, user=world.users[name])
    assert not of_hers.filter(role=role).exists()
    assert put(world, name, role, who="susan").status_code == 200


def test_with_four_eyes_everything_else_is_still_the_owners(world: World) -> None:
    ask_for_four_eyes(world)
    assert put(world, "charlie", "trader").status_code == 200
    assert put(world, "bob", "owner").status_code == 200, "he approved before"
    assert world.as_("alice").delete(path(world, "rita")).status_code == 204


def test_who_was_just_removed_changes_nothing_any_more(world: World) -> None:
    """The view has let him in before he was removed; under the lock he is asked again."""
    portfolio, alice, charlie = world.desk.portfolio, world.users["alice"], world.users["charlie"]
    set_member(portfolio=portfolio, user=charlie, role="owner", actor=alice)
    remove_member(portfolio=portfolio, user=alice, actor=charlie)
    with pytest.raises(NotFound):
        set_member(portfolio=portfolio, user=alice, role="owner", actor=alice)
