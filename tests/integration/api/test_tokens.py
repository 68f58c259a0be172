"""Tokens have names and an end, are kept as hashes, and can be revoked; programs have accounts of their own."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from knox.models import AuthToken
from rest_framework.test import APIClient

from foundation.clock import database_now
from foundation.models import ServiceAccount
from foundation.tokens import issue_token
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
PASSWORD = "a long password"


@pytest.fixture
def alice(world: World) -> APIClient:
    """Logged in by name and password."""
    world.users["alice"].set_password(PASSWORD)
    world.users["alice"].save()
    body = {"username": "alice", "password": PASSWORD}
    return bearing(APIClient().post("/api/auth/login", body, format="json").json()["token"])


def bearing(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def make(client: APIClient, **changes: Any) -> Any:
    body = {"name": "report", "expires_in_days": 30, "password": PASSWORD} | changes
    return client.post("/api/auth/tokens", body, format="json")


def opens(client: APIClient) -> bool:
    return bool(client.get("/api/me").status_code == 200)


class TestOneself:
    def test_a_named_token_opens_until_it_is_revoked(self, alice: APIClient) -> None:
        made = make(alice)
        assert made.status_code == 201
        script = bearing(made.json()["token"])
        assert opens(script)
        assert alice.delete(f"/api/auth/tokens/{made.json()['id']}").status_code == 204
        assert not opens(script) and opens(alice)

    def test_it_ends_by_itself(self, alice: APIClient) -> None:
        script = bearing(make(alice).json()["token"])
        AuthToken.objects.filter(label__name="report").update(expiry=database_now() - timedelta(seconds=1))
        assert not opens(script)

    def test_a_login_ends_by_itself_too(self, alice: APIClient, settings: Any) -> None:
        expiry = AuthToken.objects.get(label__kind="login").expiry
        left = expiry - database_now()
        assert timedelta(hours=settings.TOKEN_LOGIN_HOURS) - left < timedelta(minutes=5)

    def test_they_are_listed_without_their_secrets(self, alice: APIClient) -> None:
        token = make(alice).json()["token"]
        rows = alice.get("/api/auth/tokens").json()["results"]
        assert [(row["name"], row["kind"], row["current"]) for row in rows] == [
            ("report", "named", False), ("", "login", True),
        ]  # fmt: skip
        assert token[:8] not in str(rows)

    def test_the_database_has_only_a_hash(self, alice: APIClient) -> None:
        token = make(alice).json()["token"]
        kept = AuthToken.objects.get(label__name="report")
        assert token not in str(kept.__dict__)

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [({"password": "wrong"}, 403, "wrong_password"), ({"expires_in_days": 0}, 400, "invalid_input"),
         ({"expires_in_days": 100_000}, 400, "invalid_input"), ({"name": " "}, 400, "invalid_input")],
    )  # fmt: skip
    def test_what_is_refused(self, alice: APIClient, changes: Any, status: int, code: str) -> None:
        answer = make(alice, **changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not AuthToken.objects.filter(label__kind="named").exists()

    def test_a_name_is_used_once(self, alice: APIClient) -> None:
        make(alice)
        assert (make(alice).status_code, make(alice).json()["code"]) == (409, "name_in_use")

    def test_the_others_can_be_revoked_at_once(self, alice: APIClient) -> None:
        script = bearing(make(alice).json()["token"])
        assert alice.post("/api/auth/tokens/revoke-others").status_code == 204
        assert opens(alice) and not opens(script)

    def test_somebody_elses_does_not_exist(self, alice: APIClient, world: World) -> None:
        made = make(alice).json()
        assert world.as_("charlie").delete(f"/api/auth/tokens/{made['id']}").status_code == 404
        assert opens(bearing(made["token"]))

    def test_a_new_password_ends_all_but_the_one_in_use(self, alice: APIClient) -> None:
        script = bearing(make(alice).json()["token"])
        body = {"password": PASSWORD, "new_password": "an even longer password"}
        assert alice.post("/api/auth/password", body, format="json").status_code == 204
        assert opens(alice) and not opens(script)
        assert User.objects.get(username="alice").check_password("an even longer password")

    @pytest.mark.parametrize("door", ["its own page", "the users' page", "the command line", "the shell"])
    def test_a_new_password_by_another_door_ends_them_all(
        self, alice: APIClient, world: World, monkeypatch: pytest.MonkeyPatch, door: str
    ) -> None:
        user, new, page = world.users["alice"], "an even longer password", Client()
        if door == "its own page":
            User.objects.filter(pk=user.pk).update(is_staff=True)
            page.force_login(user)
            page.post(
                "/admin/password_change/",
                {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
            )
        elif door == "the users' page":
            page.force_login(world.users["susan"])
            page.post(
                f"/admin/auth/user/{user.pk}/password/",
                {"usable_password": "true", "password1": new, "password2": new},
            )
        elif door == "the command line":
            monkeypatch.setattr("getpass.getpass", lambda prompt: new)
            call_command("changepassword", "alice", stdout=io.StringIO())
        else:
            user.set_password(new)
            user.save()
        assert User.objects.get(username="alice").check_password(new)
        assert not opens(alice)

    @pytest.mark.parametrize(
        ("old", "new", "status"), [("wrong", "long enough now", 403), (PASSWORD, "short", 400)]
    )
    def test_a_bad_change_of_password_changes_nothing(
        self, alice: APIClient, old: str, new: str, status: int
    ) -> None:
        body = {"password": old, "new_password": new}
        assert alice.post("/api/auth/password", body, format="json").status_code == status
        assert User.objects.get(username="alice").check_password(PASSWORD)


class TestServiceAccounts:
    BODY = {"name": "svc-model", "description": "Pushes advice"}

    def made(self, world: World) -> tuple[str, APIClient]:
        steffi = world.as_("steffi")
        id = steffi.post("/api/service-accounts", self.BODY, format="json").json()["id"]
        body = {"name": "production", "expires_in_days": 365}
        token = steffi.post(f"/api/service-accounts/{id}/tokens", body, format="json").json()["token"]
        return id, bearing(token)

    def test_staff_make_one_and_its_token(self, world: World) -> None:
        _, program = self.made(world)
        assert program.get("/api/me").json()["username"] == "svc-model"
        rows = world.as_("steffi").get("/api/service-accounts").json()["results"]
        assert [(row["username"], row["tokens"], row["is_active"]) for row in rows] == [
            ("svc-model", 1, True)
        ]

    def test_it_has_no_password(self, world: World) -> None:
        self.made(world)
        user = ServiceAccount.objects.get().user
        assert not user.has_usable_password() and not user.is_staff

    def test_only_staff_may(self, world: World) -> None:
        id, _ = self.made(world)
        alice = world.as_("alice")
        assert alice.get("/api/service-accounts").status_code == 403
        for path in (
            "service-accounts",
            f"service-accounts/{id}/tokens",
            f"service-accounts/{id}/deactivate",
        ):
            assert alice.post(f"/api/{path}", self.BODY, format="json").status_code == 403

    def test_a_name_is_somebodys_once(self, world: World) -> None:
        self.made(world)
        again = world.as_("steffi").post("/api/service-accounts", self.BODY, format="json")
        assert (again.status_code, again.json()["code"]) == (409, "name_in_use")

    def test_a_persons_name_is_none(self, world: World) -> None:
        body = self.BODY | {"name": "model"}
        assert world.as_("steffi").post("/api/service-accounts", body, format="json").status_code == 400

    def test_once_it_has_a_role_only_a_superuser_makes_its_tokens(self, world: World) -> None:
        id, _ = self.made(world)
        world.add(ServiceAccount.objects.get().user, "trader")
        path, body = f"/api/service-accounts/{id}/tokens", {"name": "second", "expires_in_days": 1}
        refused = world.as_("steffi").post(path, body, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "superuser_required")
        assert world.as_("susan").post(path, body, format="json").status_code == 201

    def test_what_it_proposes_under_four_eyes_nobody_can_approve(self, world: World) -> None:
        _, program = self.made(world)
        world.add(ServiceAccount.objects.get().user, "trader")
        portfolio = world.desk.portfolio.id
        world.as_("alice").post(f"/api/portfolios/{portfolio}/four-eyes", {"enabled": True}, format="json")
        rule = program.get(f"/api/auto-trading/rules/{world.rule.id}/details").json()
        body = {name: rule[name] for name in ("name", "rule_type", "conditions", "actions")} | {
            "priority": 77
        }
        changed = program.put(f"/api/auto-trading/rules/{world.rule.id}", body, format="json").json()
        version = changed["pending_version"]["version"]
        path = f"/api/auto-trading/rules/{world.rule.id}/versions/{version}"
        refused = world.as_("bob").post(f"{path}/approve")
        assert (refused.status_code, refused.json()["code"]) == (409, "person_required")
        assert world.as_("bob").post(f"{path}/reject").status_code == 200

    def test_one_of_its_tokens_is_revoked_and_the_others_go_on(self, world: World) -> None:
        staff = world.as_("steffi")
        program = {"name": "svc-model", "description": "Advice"}
        made = staff.post("/api/service-accounts", program, format="json").json()
        path = f"/api/service-accounts/{made['id']}/tokens"
        old, new = (
            staff.post(path, {"name": name, "expires_in_days": 30}, format="json").json()
            for name in ("old", "new")
        )
        assert [row["name"] for row in staff.get(path).json()["results"]] == ["new", "old"]
        assert old["token"] not in staff.get(path).content.decode()
        assert staff.delete(f"{path}/{old['id']}").status_code == 204
        assert not opens(bearing(old["token"])) and opens(bearing(new["token"]))
        assert [row["name"] for row in staff.get(path).json()["results"]] == ["new"]
        assert staff.delete(f"{path}/{old['id']}").status_code == 404

    def test_a_persons_token_is_none_of_its(self, world: World) -> None:
        staff = world.as_("steffi")
        program = {"name": "svc-model", "description": "Advice"}
        made = staff.post("/api/service-accounts", program, format="json").json()
        hers = issue_token(user=world.users["alice"], name="report", days=1, actor=world.users["alice"])
        assert staff.delete(f"/api/service-accounts/{made['id']}/tokens/{hers.id}").status_code == 404
        assert opens(bearing(hers.token))

    def test_deactivated_it_opens_nothing_and_gets_no_token(self, world: World) -> None:
        id, program = self.made(world)
        steffi = world.as_("steffi")
        shown = steffi.post(f"/api/service-accounts/{id}/deactivate").json()
        assert (shown["is_active"], shown["tokens"]) == (False, 0)
        assert not opens(program)
        body = {"name": "again", "expires_in_days": 1}
        again = steffi.post(f"/api/service-accounts/{id}/tokens", body, format="json")
        assert (again.status_code, again.json()["code"]) == (409, "user_not_active")

    def test_it_works_by_its_role_but_is_nobodys_second_person(self, world: World) -> None:
        _, program = self.made(world)
        portfolio = world.idle.id
        user = ServiceAccount.objects.get().user
        world.add(user, "risk_officer")
        assert program.get(f"/api/portfolios/{portfolio}").status_code == 200
        refused = program.post(f"/api/emergency-stop/{world.halt.id}/release")
        assert (refused.status_code, refused.json()["code"]) == (403, "person_required")
