"""Name and password for a token that can be revoked; and what a failing database looks like."""

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from portfolios.api import views
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
PASSWORD = "a long password"


def login(password: str):
    body = {"username": "alice", "password": password}
    return APIClient().post("/api/auth/login", body, format="json")


@pytest.fixture
def alice(world: World) -> World:
    world.users["alice"].set_password(PASSWORD)
    world.users["alice"].save()
    return world


def test_a_token_opens_and_logging_out_closes(alice: World) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {login(PASSWORD).json()['token']}")
    assert client.get("/api/me").json()["username"] == "alice"
    assert client.post("/api/auth/logout").status_code == 204
    assert client.get("/api/me").status_code == 401


def test_a_wrong_password_opens_nothing(alice: World) -> None:
    answer = login("another password")
    assert (answer.status_code in {401, 403}, answer["Content-Type"]) == (True, "application/problem+json")
    assert "token" not in answer.json()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OperationalError("canceling statement due to lock timeout"), 503, "unavailable"),
     (ZeroDivisionError("secret detail"), 500, "internal_error")],
)  # fmt: skip
def test_a_failure_is_a_problem_without_its_insides(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(views, "deposit", fail)
    answer = world.as_("alice").post(
        f"/api/portfolios/{world.idle.id}/deposits", {"amount": "1.00"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.get("Retry-After") == ("1" if status == 503 else None)
    assert str(error) not in answer.content.decode()
