"""One's own password, changed on the admin's page: as over the API, whoever had the old one keeps no token."""

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from foundation.admin.base import actor_of
from foundation.tokens import revoke_tokens


def change_own_password(request: HttpRequest) -> HttpResponseBase:
    """The admin's own view stands behind it."""
    user = actor_of(request)
    before = user.password
    answer: HttpResponseBase = admin.site.password_change(request)
    user.refresh_from_db(fields=["password"])
    if user.password != before:
        revoke_tokens(user=user)
    return answer
