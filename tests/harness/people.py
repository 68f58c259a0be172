"""The cast, with tokens that work."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from knox.models import get_token_model


@dataclass(frozen=True)
class Person:
    user: Any
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}


def person(name: str) -> Person:
    """Alice, Bob, Charlie, Victor or a service, made at first mention."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    _, token = get_token_model().objects.create(user=user)
    return Person(user, token)
