"""So many requests a minute for each user, and fewer for each of his tokens (429 with `Retry-After`).

Whoever is not logged in (login itself, the schema) has the budget of his address, and who is refused for it (401)
another one of his address: a program that goes on with a dead token keeps nobody beside it from logging in. A view that
must always be reachable sets `never_throttled` to the methods that are free: nobody may be kept from the emergency
stop.

A request costs its budget once, before it is judged, so that being refused is not free. DRF asks for the budgets last;
the door (`portfolios.api.door`) and the reading of tokens (`authentication`) ask for them where they refuse.
"""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from limits import RateLimitItemPerMinute
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from foundation.addresses import client_address
from foundation.rates import take


class Budgets(BaseThrottle):
    """The token's budget first: what it refuses costs the user nothing, whose other tokens go on."""

    _wait: float | None = None  # what DRF asks for after a refusal

    def allow_request(self, request: Request, view: Any) -> bool:
        if is_free(request, view) or getattr(request, "_has_paid", False):
            return True
        request._has_paid = True  # type: ignore[attr-defined]
        self._wait = self._of_token(request)
        if self._wait is None:
            self._wait = self._of_user(request)
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait

    @staticmethod
    def _of_user(request: Request) -> float | None:
        most = settings.RATE_USER_PER_MINUTE
        user: Any = request.user
        whose = f"user:{user.pk}" if user.is_authenticated else f"address:{client_address(request._request)}"
        return take(RateLimitItemPerMinute(most), whose) if most else None

    @staticmethod
    def _of_token(request: Request) -> float | None:
        most = settings.RATE_TOKEN_PER_MINUTE
        digest = getattr(request.auth, "digest", None)
        return take(RateLimitItemPerMinute(most), f"token:{digest}") if most and digest else None


def is_free(request: Request, view: Any) -> bool:
    free: Collection[str] = getattr(view, "never_throttled", ())
    return request.method in free


def pay_for_a_401(request: Request, view: Any) -> None:
    """Raises Throttled, which is answered instead of the 401 that this address has had too often."""
    most = settings.RATE_USER_PER_MINUTE
    if most and not is_free(request, view):
        wait = take(RateLimitItemPerMinute(most), f"refused:{client_address(request._request)}")
        if wait is not None:
            raise Throttled(wait)
