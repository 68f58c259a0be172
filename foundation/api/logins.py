"""Guessing passwords is slow: at every door, which are the API, the console and the admin.

django-axes keeps the failures of each name from each address in PostgreSQL and closes that pair for a while. Beside
it an address has a budget for failures with whatever names, so that one password is not tried on everybody.
Closed or not, a name from elsewhere gets in: nobody can lock another person out.
"""

from typing import Any

from axes.exceptions import AxesBackendPermissionDenied
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from limits import RateLimitItemPerMinute

from foundation.addresses import client_address
from foundation.api.problems import plain_problem
from foundation.rates import left, take


def _budget() -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(settings.LOGIN_FAILURES_PER_ADDRESS, settings.LOGIN_LOCKOUT_MINUTES)


class AddressGuard:
    """Authentication backend that lets nobody in; it only stops those whose address has failed too often."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        if request is None or left(_budget(), "login", client_address(request)) is None:
            return
        request.axes_locked_out = True  # type: ignore[attr-defined]  # which the middleware answers
        raise AxesBackendPermissionDenied("this address has failed too often")


@receiver(user_login_failed, dispatch_uid="count_login_failure")
def count_failure(request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is not None:
        take(_budget(), "login", client_address(request))


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponseBase:
    """What django-axes answers: problem details for the API, a plain page elsewhere; 429 both."""
    seconds = settings.LOGIN_LOCKOUT_MINUTES * 60
    told = (
        f"Too many failed logins. Try again in {settings.LOGIN_LOCKOUT_MINUTES} minutes, or ask the staff to "
        "unlock your name."
    )
    response: HttpResponseBase
    if request.path.startswith("/api/"):
        response = plain_problem(status=429, code="too_many_logins", detail=told)
    else:
        response = HttpResponse(told, status=429, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = str(seconds)
    return response
