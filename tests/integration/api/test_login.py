"""Name and password for a token that can be revoked; and what a failing database looks like."""

import codecs
import json
import zlib
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
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
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert answer["WWW-Authenticate"] == "Token"
    assert "token" not in answer.json()


def test_logging_out_ends_the_session_that_asked_for_it(world: World) -> None:
    client = APIClient()
    client.force_login(world.users["alice"])
    assert client.get("/api/me").status_code == 200
    assert client.post("/api/auth/logout").status_code == 204
    assert client.get("/api/me").status_code == 401


CREDENTIALS = json.dumps({"username": "alice", "password": PASSWORD})


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"'])
def test_a_body_is_utf_8(alice: World, charset: str) -> None:
    content_type = f"application/json; charset={charset}"
    answer = APIClient().generic("POST", "/api/auth/login", CREDENTIALS.encode(), content_type)
    assert (answer.status_code, "token" in answer.json()) == (200, True)


@pytest.mark.parametrize(
    "charset", ["zlib", "bz2", "rot13", "utf-7", "utf-16", "unicode_escape", "idna", "latin-1", "no-such", ""]
)
def test_no_other_charset_is_read(alice: World, charset: str) -> None:
    body = {"zlib": zlib.compress, "rot13": lambda text: codecs.encode(text.decode(), "rot13").encode()}.get(
        charset, bytes
    )(CREDENTIALS.encode())
    content_type = f"application/json; charset={charset}"
    answer = APIClient().generic("POST", "/api/auth/login", body, content_type)
    assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")


@pytest.mark.parametrize(
    "body", [b'{"username": "\xff"}', b"\xef\xbb\xbf{}", b'{"a": "\xed\xa0\x80"}', b'{"a": "\x00"}']
)
def test_bytes_that_are_no_json_in_utf_8_are_refused(world: World, body: bytes) -> None:
    answer = APIClient().generic("POST", "/api/auth/login", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


def test_a_form_is_no_json(world: World) -> None:
    answer = APIClient().generic(
        "POST", "/api/auth/login", b"username=alice", "application/x-www-form-urlencoded"
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_not_read(world: World, settings: Any) -> None:
    body = json.dumps({"username": "a" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE, "password": "x"}).encode()
    for path, client in (("auth/login", APIClient()), ("portfolios", world.as_("alice"))):
        answer = client.generic("POST", f"/api/{path}", body, "application/json")
        assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
        assert (answer.json()["status"], answer.json()["code"]) == (413, "too_large")
        assert str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OperationalError("canceling statement due to lock timeout"), 503, "unavailable"),
     (DisallowedHost("secret detail"), 400, "bad_request"),
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
