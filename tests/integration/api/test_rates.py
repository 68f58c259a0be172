"""Budgets of requests: of users, tokens and addresses; the emergency stop has none."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from foundation import rates
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, settings: Any, request: pytest.FixtureRequest) -> Any:
    """Each test has counters of its own."""
    settings.REDIS_PREFIX = f"{django_settings.REDIS_PREFIX}:{request.node.name}"
    rates._shared.cache_clear()
    rates._own.cache_clear()
    monkeypatch.setattr(rates, "_paused_until", 0.0)
    yield
    rates._shared.cache_clear()
    rates._own.cache_clear()


def asked(client: APIClient, times: int) -> list[int]:
    return [client.get("/api/me").status_code for _ in range(times)]


class TestRequests:
    def test_beyond_the_budget_one_is_told_when_to_come_back(self, world: World, settings: Any) -> None:
        settings.RATE_USER_PER_MINUTE = 5
        alice = world.as_("alice")
        assert asked(alice, 6) == [200] * 5 + [429]
        refused = alice.get("/api/me")
        assert (refused["Content-Type"], refused.json()["code"]) == ("application/problem+json", "throttled")
        assert 1 <= int(refused["Retry-After"]) <= 61

    def test_a_user_has_one_budget_for_all_tokens_and_others_have_their_own(
        self, world: World, settings: Any
    ) -> None:
        settings.RATE_USER_PER_MINUTE = 4
        assert asked(world.as_("alice"), 2) + asked(world.as_("alice"), 3) == [200] * 4 + [429]
        assert asked(world.as_("bob"), 4) == [200] * 4

    def test_a_token_has_one_of_its_own(self, world: World, settings: Any) -> None:
        """And what it refuses costs the user nothing: his other tokens go on."""
        settings.RATE_USER_PER_MINUTE, settings.RATE_TOKEN_PER_MINUTE = 6, 3
        assert asked(world.as_("alice"), 10) == [200] * 3 + [429] * 7
        assert asked(world.as_("alice"), 3) == [200] * 3

    def test_what_is_for_staff_only_costs_as_much_as_what_is_for_everybody(
        self, world: World, settings: Any
    ) -> None:
        settings.RATE_USER_PER_MINUTE = 3
        alice = world.as_("alice")
        assert [alice.get("/api/platform/limits").status_code for _ in range(4)] == [403] * 3 + [429]
        assert asked(alice, 1) == [429]

    @pytest.mark.parametrize("authorization", [None, "Token", "Token 0123456789abcdef", "Token \xe4\xff"])
    def test_to_be_refused_for_a_token_is_not_free_either(
        self, world: World, settings: Any, authorization: str | None
    ) -> None:
        """It is the address that pays, and only for these: whoever has a good token goes on, and so does a login."""
        settings.RATE_USER_PER_MINUTE = 3
        nobody = APIClient() if authorization is None else APIClient(HTTP_AUTHORIZATION=authorization)
        assert asked(nobody, 4) == [401] * 3 + [429]
        refused = nobody.get("/api/me")
        assert refused.json()["code"] == "throttled" and 1 <= int(refused["Retry-After"]) <= 61
        assert APIClient(REMOTE_ADDR="10.0.0.9").get("/api/me").status_code == 401
        assert asked(world.as_("alice"), 3) == [200] * 3
        assert login("127.0.0.1").status_code == 401
        assert nobody.post("/api/emergency-stop").status_code == 401

    def test_a_request_costs_once(self, world: World, settings: Any) -> None:
        settings.RATE_USER_PER_MINUTE, settings.RATE_TOKEN_PER_MINUTE = 4, 4
        assert asked(world.as_("alice"), 5) == [200] * 4 + [429]
        assert [APIClient().get("/api/schema").status_code for _ in range(5)] == [200] * 4 + [429]

    def test_the_emergency_stop_is_never_refused(self, world: World, settings: Any) -> None:
        settings.RATE_USER_PER_MINUTE = settings.RATE_TOKEN_PER_MINUTE = 1
        alice = world.as_("alice")
        assert asked(alice, 2) == [200, 429]
        body = {"scope": "portfolio", "scope_id": str(world.desk.portfolio.id), "reason": "Now"}
        answers = [alice.post("/api/emergency-stop", body, format="json").status_code for _ in range(20)]
        assert answers == [201] + [200] * 19
        assert alice.get("/api/emergency-stop").status_code == 429

    def test_a_refused_request_leaves_no_idempotency_key(self, world: World, settings: Any) -> None:
        settings.RATE_USER_PER_MINUTE = 1
        alice, path = world.as_("alice"), f"/api/portfolios/{world.idle.id}/deposits"
        asked(alice, 1)
        body, key = {"amount": "1.00"}, {"Idempotency-Key": "one"}
        assert alice.post(path, body, format="json", headers=key).status_code == 429
        settings.RATE_USER_PER_MINUTE = 100
        answer = alice.post(path, body, format="json", headers=key)
        assert (answer.status_code, "Idempotent-Replayed" in answer) == (201, False)

    def test_two_processes_share_it_and_one_alone_keeps_it_without_valkey(
        self, world: World, settings: Any
    ) -> None:
        settings.RATE_USER_PER_MINUTE = 4
        alice = world.as_("alice")
        assert asked(alice, 2) == [200] * 2
        rates._shared.cache_clear()  # another process begins without anything of its own
        assert asked(alice, 3) == [200] * 2 + [429]
        rates._shared.cache_clear()
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        assert asked(alice, 5) == [200] * 4 + [429]


def login(address: str = "10.0.0.1", *, name: str = "alice", password: str = "wrong") -> Any:
    body = {"username": name, "password": password}
    return APIClient(REMOTE_ADDR=address).post("/api/auth/login", body, format="json")


class TestLogin:
    PASSWORD = "a long password"

    @pytest.fixture(autouse=True)
    def alice(self, world: World) -> None:
        for name in ("alice", "steffi"):
            world.users[name].set_password(self.PASSWORD)
            world.users[name].save()

    def test_a_name_is_closed_to_the_address_that_guesses_and_open_to_others(self, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT = 3
        assert [login().status_code for _ in range(3)] == [401, 401, 429]
        refused = login(password=self.PASSWORD)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_logins")
        assert int(refused["Retry-After"]) == settings.LOGIN_LOCKOUT_MINUTES * 60
        assert login("10.0.0.2", password=self.PASSWORD).status_code == 200

    def test_success_begins_anew(self, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT = 3
        for _ in range(3):
            assert [login().status_code for _ in range(2)] == [401, 401]
            assert login(password=self.PASSWORD).status_code == 200

    def test_an_address_that_tries_many_names_is_closed(self, settings: Any) -> None:
        settings.LOGIN_FAILURES_PER_ADDRESS = 4
        assert [login(name=f"name-{n}").status_code for n in range(4)] == [401] * 4
        assert login(password=self.PASSWORD).status_code == 429
        assert login("10.0.0.2", password=self.PASSWORD).status_code == 200

    @pytest.mark.parametrize("path", ["/login", "/admin/login/"])
    def test_the_pages_are_no_way_around_it(self, settings: Any, path: str) -> None:
        settings.AXES_FAILURE_LIMIT = 3
        page = Client(REMOTE_ADDR="10.0.0.1")
        body = {"username": "steffi", "password": "wrong"}
        assert [page.post(path, body).status_code for _ in range(3)] == [200, 200, 429]
        assert login(name="steffi", password=self.PASSWORD).status_code == 429
        assert page.post(path, body | {"password": self.PASSWORD}).status_code == 429

    def test_behind_a_proxy_the_clients_address_counts_and_cannot_be_made_up(self, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT, settings.PROXY_COUNT = 2, 1

        def through(forwarded: str) -> int:
            body = {"username": "alice", "password": "wrong"}
            client = APIClient(REMOTE_ADDR="10.9.9.9", HTTP_X_FORWARDED_FOR=forwarded)
            return client.post("/api/auth/login", body, format="json").status_code

        assert [through("1.1.1.1, 5.5.5.5"), through("2.2.2.2, 5.5.5.5")] == [401, 429]
        assert through("5.5.5.5, 6.6.6.6") == 401

    def test_staff_see_who_is_locked_out_and_let_him_in(self, world: World, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT = 2
        assert [login().status_code for _ in range(2)] == [401, 429]
        assert login(name="bob").status_code == 401
        staff = world.as_("steffi")
        rows = staff.get("/api/failed-logins").json()["results"]
        told = {row["username"]: (row["address"], row["failures"], row["is_locked"]) for row in rows}
        assert told == {"alice": ("10.0.0.1", 2, True), "bob": ("10.0.0.1", 1, False)}
        forget = {"username": "alice"}
        assert world.as_("alice").post("/api/failed-logins/forget", forget, format="json").status_code == 403
        assert staff.post("/api/failed-logins/forget", forget, format="json").json() == {"forgotten": 1}
        assert login(password=self.PASSWORD).status_code == 200
        assert staff.post("/api/failed-logins/forget", forget, format="json").status_code == 404

    def test_who_is_logged_in_stays_so(self, world: World, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT = 1
        assert login().status_code == 429
        assert world.as_("alice").get("/api/me").status_code == 200

    def test_a_password_asked_for_again_counts_too(self, world: World, settings: Any) -> None:
        settings.AXES_FAILURE_LIMIT = 2
        body = {"name": "x", "expires_in_days": 1, "password": "wrong"}
        alice, key = world.as_("alice"), {"Idempotency-Key": "guess"}
        answers = [
            alice.post("/api/auth/tokens", body, format="json", headers=key).status_code for _ in range(3)
        ]
        assert answers == [403, 429, 429]
        assert User.objects.get(username="alice").is_active
