"""`Idempotency-Key`: sent twice, done once."""

import pytest

from foundation.models import IdempotencyKey
from portfolios.models import LedgerTransfer
from tests.integration.api.calls import CALLS, Call
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
KEY = {"Idempotency-Key": "one"}


def deposit(world: World, amount: str, who: str = "alice"):
    path = f"/api/portfolios/{world.idle.id}/deposits"
    return world.as_(who).post(path, {"amount": amount}, format="json", headers=KEY)


def deposits(world: World) -> int:
    return LedgerTransfer.objects.filter(portfolio=world.idle).count()


KEYED = [call for call in CALLS if call.method == "post" and call.keyed]
NOT_KEYED = [call for call in CALLS if call.method == "post" and not call.keyed]


@pytest.mark.parametrize("call", KEYED, ids=lambda call: call.route)
def test_every_post_gives_its_first_answer_again(world: World, call: Call) -> None:
    first = call.send(world, call.by, **KEY)
    again = Call(call.method, call.path, call.body, call.status).send(world, call.by, **KEY)
    assert first.status_code == again.status_code == call.status
    assert again.json() == first.json()
    assert (first.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")


@pytest.mark.parametrize("call", NOT_KEYED, ids=lambda call: call.route)
def test_what_takes_no_key_leaves_none_and_may_be_repeated(world: World, call: Call) -> None:
    """A body with a broker's keys is not even kept as a hash."""
    first, again = call.send(world, call.by, **KEY), call.send(world, call.by, **KEY)
    assert first.status_code == again.status_code == call.status
    assert not IdempotencyKey.objects.exists()


def test_the_second_has_no_effect(world: World) -> None:
    deposit(world, "100.00")
    deposit(world, "100.00")
    assert deposits(world) == 1


def test_another_body_under_the_same_key_is_refused(world: World) -> None:
    deposit(world, "100.00")
    answer = deposit(world, "200.00")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert deposits(world) == 1


def test_a_key_is_its_users_own(world: World) -> None:
    assert deposit(world, "100.00").status_code == 201
    answer = world.as_("charlie").post("/api/portfolios", {"name": "Mine"}, format="json", headers=KEY)
    assert answer.status_code == 201


def test_a_refused_request_may_be_sent_again(world: World) -> None:
    assert deposit(world, "-1").status_code == 400
    assert deposit(world, "100.00").status_code == 201
