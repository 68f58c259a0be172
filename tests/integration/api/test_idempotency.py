"""`Idempotency-Key`: sent twice, done once."""

from datetime import timedelta
from typing import Any

import pytest

from foundation.api.idempotency import WORK_SECONDS_MAX
from foundation.clock import database_now
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


# At login nobody is known yet; after logging out one is nobody; and for a new password the old one is asked again.
ONCE_ONLY = {"auth/login", "auth/logout", "auth/password"}
POSTS = [call for call in CALLS if call.method == "post" and call.path not in ONCE_ONLY]


@pytest.mark.parametrize("call", POSTS, ids=lambda call: call.route)
def test_every_post_gives_its_first_answer_again(world: World, call: Call) -> None:
    first = call.send(world, call.by, **KEY)
    again = Call(call.method, call.path, call.body, call.status).send(world, call.by, **KEY)
    assert first.status_code == again.status_code == call.status
    assert bool(again.content) == bool(first.content)
    assert not first.content or again.json() == first.json()
    assert (first.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")


def test_keys_of_a_broker_are_not_kept_with_the_answer(world: World) -> None:
    call = next(call for call in POSTS if call.path.endswith("broker/connect"))
    call.send(world, call.by, **KEY)
    kept = IdempotencyKey.objects.get()
    assert call.body(world)["secret"] not in str(kept.__dict__)


class TestSecrets:
    """Tickets and tokens: the answer is given again, and stands nowhere in the database."""

    def test_a_ticket_is_the_same_again_and_is_kept_sealed(self, world: World) -> None:
        alice = world.as_("alice")
        first, again = (alice.post("/api/stream/tickets", headers=KEY) for _ in range(2))
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json() and again["Idempotent-Replayed"] == "true"
        kept = IdempotencyKey.objects.get()
        assert kept.body is None and first.json()["ticket"].encode() not in bytes(kept.sealed)

    def test_what_was_sealed_for_one_opens_for_nobody_else(self, world: World) -> None:
        world.as_("alice").post("/api/stream/tickets", headers=KEY)
        other = world.as_("bob").post("/api/stream/tickets", headers=KEY)
        assert (other.status_code, "Idempotent-Replayed" in other) == (201, False)
        mine, his = (IdempotencyKey.objects.get(user=world.users[name]) for name in ("alice", "bob"))
        IdempotencyKey.objects.filter(pk=his.pk).update(sealed=mine.sealed)
        assert world.as_("bob").post("/api/stream/tickets", headers=KEY).status_code == 500


class TestOverTheNetwork:
    """Work that speaks to a broker is done outside of transactions: its key is committed before and after it."""

    PATH = "/api/portfolios/{}/broker/connect"

    def at_work(self, world: World, *, since: timedelta) -> Any:
        """As if the process of the first request were still at it, or had died."""
        call = next(call for call in POSTS if call.path.endswith("broker/connect"))
        call.send(world, call.by, **KEY)
        IdempotencyKey.objects.update(status=None, body=None, created_at=database_now() - since)
        return Call(call.method, call.path, call.body, call.status).send(world, call.by, **KEY)

    def test_a_twin_is_told_to_wait(self, world: World) -> None:
        answer = self.at_work(world, since=timedelta(seconds=5))
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (409, "in_progress", "1")

    def test_what_a_dead_process_left_may_be_done_again(self, world: World) -> None:
        assert self.at_work(world, since=timedelta(seconds=WORK_SECONDS_MAX + 1)).status_code == 200
        assert IdempotencyKey.objects.get().status == 200

    def test_a_failure_leaves_no_key(self, world: World) -> None:
        path = self.PATH.format(world.idle.id)
        answer = world.as_("alice").post(path, {"broker": "none"}, format="json", headers=KEY)
        assert answer.status_code == 400 and not IdempotencyKey.objects.exists()


def test_after_a_day_a_key_is_new(world: World) -> None:
    deposit(world, "100.00")
    IdempotencyKey.objects.update(created_at=database_now() - timedelta(hours=25))
    again = deposit(world, "100.00")
    assert (again.status_code, "Idempotent-Replayed" in again, deposits(world)) == (201, False, 2)


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
